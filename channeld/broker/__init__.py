"""Between nodes: what is published here reaches all who asked for it, on every node, in order.

Read `broker.py` (the contract), then `stream.py` and `histories.py` (what is kept), then `memory.py` and `once.py` (keys of messages that may be sent again). For many nodes: `redis/`. `brokers.py` is
the table of what there is.
"""
