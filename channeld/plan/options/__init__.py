"""What a message type may say besides its schema and its route: one module an option.

`option.py` says what an option answers: what is wrong with it, what it means in exports, what a change of it does to
clients, what a scenario may cover of it. `require.py`, `rate.py`, `once.py`, `kept.py`, `hook.py` and `deprecated.py` hold
the options; `table.py` is the table of them, which the compiler, `channeld diff`, the exports and the coverage of scenarios walk.
"""
