"""Where a message can go: one module a kind of target.

`target.py` says what a kind is; `room.py`, `user.py`, `everyone.py`, `sender.py` and `none.py` are the kinds; `kinds.py` is
the table of them. A kind knows the keys of its route, whom it reaches, its words for people, and how it is compiled into
a plan that gives a topic while frames travel.
"""
