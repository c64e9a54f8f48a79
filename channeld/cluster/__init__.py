"""What nodes ask of each other, above the engine. Read `wire.py` (what is sent), `verbs.py` (what one node does), `cluster.py`, `revocation_log.py`."""
