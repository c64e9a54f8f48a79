"""The drivers, which wait for sockets: `lane.py` (with `tls.py` for TLS and `crowds.py` for addresses with many), `stream.py` for any trio stream."""
