"""Where a message can go: one module for each kind of target.

`target.py` is the interface; `room.py`, `user.py`, `everyone.py`, `sender.py` and `none.py` are the kinds; `kinds.py` is
the table of them. A kind knows the keys of its route, whom it reaches, its description, and how it is compiled into a plan
that gives a topic at run time.
"""
