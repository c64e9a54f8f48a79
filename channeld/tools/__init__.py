"""What the command line offers beside the server: the client, tokens, exports, diff, scenarios, new projects.

Each tool is a library of its own, without click and without printing except where it is a screen (`client.py`); the
commands in `channeld.cli` are made of them.
"""
