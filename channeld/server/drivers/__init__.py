"""What waits for sockets: `lane.py` for plain ones, `stream.py` for any trio stream."""
