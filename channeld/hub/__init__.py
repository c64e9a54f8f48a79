"""Who hears what on this node. Read `fanout.py` (one frame to many), `rooms.py`, `presence.py`, then `hub.py`."""
