"""Brokers: what is published to one reaches all subscribers, on every node, in order.

Read `broker.py` (the contract) and `publish_options.py` (what applies to one frame), then `topic_history.py` and `histories.py` (what is kept), then `memory.py` and `once.py` (keys that make it
safe to send a message again). For many nodes: `redis/`. `brokers.py` is the table of brokers.
"""
