"""What travels: codes, frames and the bytes of RFC 6455, with no socket. Read `codes.py`, `frames.py`, `websocket.py`."""
