"""Who is here and who hears what, on this node. Read `hub.py`, then `rooms.py`, `presence.py`, `fanout.py`."""
