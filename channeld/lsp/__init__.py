"""The language server: checks, completion and navigation for editors.

Reading order: `server.py` (the wire), `service.py` (documents in, findings out), `projects.py` (what is open and known), on
`buffers.py` (texts and positions) and `blocks.py` (a text split into separately edited parts). Findings: `checking.py`, for
which `worker_link.py` asks the process `worker.py`, and `findings.py` writes them. Questions: `answers.py` writes what
`completion.py` (with `fields.py`), `hover.py`, `definition.py`, `rename.py`, `fixes.py` and
`symbols.py` know, from `view.py` (the parsed text around a line), `cursor.py` (the same while somebody is typing),
`rules.py` (the language's rules there) and `references.py` (references between names); `conversation.py` is the configuration
behind a scenario file. Hook modules are read, never imported.
"""
