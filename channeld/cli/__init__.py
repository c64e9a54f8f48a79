"""The command line: one module per command, each a thin layer over what it names.

Results go to stdout, everything else to stderr. A command raises `click.ClickException` (exit 1), `click.UsageError`
or `Unreadable` (exit 2) and never prints a traceback: `main.py` is the one place where an error becomes output, and
where commands are registered. Commands are imported when they are called, and import what is heavy (trio, httpx, rich,
cryptography) inside the function that needs it. Reading order: `main.py`, `plan/load.py`, any command.
"""
