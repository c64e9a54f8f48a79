"""Between nodes. Read `broker.py` (the contract), then `stream.py` (history), then `memory.py`."""
