"""The command line: one module per command, each a thin layer over what it names.

Results go to stdout, everything else to stderr. A command raises `click.ClickException` (exit 1), `click.UsageError`
or `Unreadable` (exit 2) and never prints a traceback: `main.py` is the one place where an error becomes output, and
where commands are registered. Commands are imported when they are called, and import heavy packages (trio, httpx2, rich,
cryptography) inside the function that needs them.

Reading order: `main.py`, `interrupt.py` (Ctrl-C before that), `loading.py` (a configuration, checked, and the environment for it), `output.py`, then any command: `validate.py`, `routes.py`, `test.py` with `fuzzing.py`,
`export.py`, `diff.py`, `explain.py`, `init.py`, `schema.py`, `token.py`, `connect.py` with `recording.py`, `completion.py`, `access.py`, `mock.py`, `bench.py`, `trace.py`, `lsp.py`, and `api.py` for those that ask a
running server. `run.py` has helpers: `binding.py` (addresses), `announcer.py`, `ready.py` and `links.py` (what it prints),
`watching.py` (reloads), `workers.py`, `api_side.py` and `console.py` (the control API's side).
"""
