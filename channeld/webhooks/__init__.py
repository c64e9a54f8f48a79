"""Webhooks: a backend is told, signed and at least once, who came and went.

Reading order: `webhooks.py` (what is told), `occupancy.py` (rooms over all nodes), `sender.py` (one task for each webhook),
`queue.py`, `retries.py`, `signature.py`, `endpoint.py` (HTTP).
"""
