"""Compares two configurations: what changed for clients, each change classified as breaking, dangerous or safe.

What clients send must not become narrower, what they receive must not become wider. Schemas are compared by what they
accept, not by how they are written (`channeld.schema.compare`). If that can't be decided the change is dangerous, unless a
frame proves that it is breaking.

Reading order: `change.py` (a finding), `side.py` (a configuration that is compared), `comparison.py` (both, and what a schema's change
does), `severity.py` (how bad which difference is for whom); the parts of the file: `paths.py`, `param_names.py`, `messages.py`, `delivered.py`,
`access.py`, `limits.py`, `server.py`, and `unjudged.py` for what does not affect clients; `changes.py` (all of them),
`accept.py`, `rights.py` (what changed in who may do what), `text.py` and `render.py` (how it is shown). `revisions.py`
reads files out of git.
"""
