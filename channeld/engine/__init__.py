"""What happens to a connection. Read `session.py` (its life and its frames), then `routing.py`, `control.py`, `auth.py`.

`engine.py` is the whole: it opens sessions and holds the verbs that hooks, control API and commands may use. Nothing in
here knows a socket, a task or a clock of its own (`peer.py` says what it is given).
"""
