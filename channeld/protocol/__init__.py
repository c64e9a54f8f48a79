"""The wire protocol: codes, frames and the bytes of RFC 6455, without sockets.

Read `codes.py`, `frames.py`, `reserved.py`, `names.py`, `places.py`; `reader.py`, `masking.py` and `websocket.py` for bytes;
`standard_webhooks.py` for the signatures of requests to backends.
"""
