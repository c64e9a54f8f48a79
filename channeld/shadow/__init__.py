"""What another configuration would have said to today's clients, asked beside the one that serves, and never obeyed.

Read `tally.py` (what is counted and said of it), `judge.py` (what the other configuration says of a handshake and of a
message, asked through an engine of its own that nobody is connected to), `receiver.py` (a session that asks) and
`shadow.py` (the whole, as the server holds it).

Rules: clients, hooks, rooms and counters of the configuration that serves never notice; no hook of the other one is
called; what is kept is bounded by the open connections and by the declared channels and types.
"""
