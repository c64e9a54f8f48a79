"""What nodes ask of each other. Read `cluster.py`, then `verbs.py` (what a node does) and `wire.py` (what is sent)."""
