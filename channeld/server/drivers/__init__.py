"""What waits for sockets: `lane.py` for sockets (`tls.py` where they have TLS, `crowds.py` where one address has many), `stream.py` for any trio stream."""
