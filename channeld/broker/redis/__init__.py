"""The broker of many nodes, over Redis or Valkey. Read `broker.py`; `session.py`, `queue.py` (out), `subscriptions.py` (in).

`entries.py` keeps presence, `scripts.py` what must be one step, `encoding.py` names and envelopes, `discovery.py` finds
the primary, `embedded.py` brings a private server.
"""
