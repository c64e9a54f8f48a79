"""The language server: what channeld knows of a configuration, told to an editor while it is written.

Reading order: `server.py` (the wire), `service.py` (documents in, findings out), `projects.py` (what is open and known), on
`buffers.py` (texts and positions) and `blocks.py` (a text cut into what is edited at a time). Findings: `checking.py`, for which
`checks.py` asks the process `worker.py`, and `findings.py` writes them. Questions: `answers.py` writes what `completion.py` (with `offer.py`, `fields.py` and `spoken.py`),
`hover.py`, `definition.py`, `rename.py`, `fixes.py` and `symbols.py` know, from `view.py` (what is understood around a
line), `cursor.py` (the same while somebody is typing), `rules.py` (what the language takes there) and `names.py` (what
names what); `conversation.py` is what scenario files speak of. Hook modules are read, never imported.
"""
