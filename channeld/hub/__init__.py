"""Who hears what on this node.

Reading order: `fanout.py` (one frame to many), `rooms.py`, `presence.py` with `shown.py`
(what others see of a user), `conflation.py` (the newest of one thing), then `hub.py`, and `traced.py` (with spans).
"""
