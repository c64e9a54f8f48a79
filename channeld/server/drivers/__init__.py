"""What waits for sockets: `lane.py` for sockets (`tls.py` where they have TLS), `stream.py` for any trio stream."""
