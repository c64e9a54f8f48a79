"""Webhooks: signed, at-least-once notifications to a backend about users and rooms.

Reading order: `webhooks.py` (the events), `occupancy.py` (rooms over all nodes), `sender.py` (one task for each webhook),
`queue.py`, `retries.py`, `endpoint.py` (HTTP).
"""
