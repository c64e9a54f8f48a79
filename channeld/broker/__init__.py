"""Between nodes: what is published here reaches whoever asked for it, on every node, in order.

Read `broker.py` (the contract), then `stream.py` (history), then `memory.py`. For many nodes: `redis.py`, and behind it
`redis_queue.py` (out), `redis_inbox.py` (in), `redis_presence.py`, `redis_link.py`, `redis_scripts.py`, `redis_wire.py`.
"""
