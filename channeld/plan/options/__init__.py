"""The options of a message type, besides its schema and route: one module for each option.

`option.py` is the interface of an option: its checks, its description in exports, what a change does to clients, what
scenarios can cover. `require.py`, `rate.py`, `once.py`, `kept.py`, `hook.py` and `deprecated.py` hold the options;
`table.py` lists them for the compiler, `channeld diff`, the exports and scenario coverage.
"""
