"""The shadow configuration: evaluates live traffic next to the serving configuration, without any effect.

Read `tally.py` (counts and summary), `judge.py` (evaluates handshakes and messages, in an engine of its own without
connections) and `shadow.py` (the sessions that consult it, and the whole as the server uses it).

Rules: clients, hooks, rooms and counters of the serving configuration are not affected; hooks of the shadow are not called;
memory is bounded by the open connections and by the declared channels and types.
"""
