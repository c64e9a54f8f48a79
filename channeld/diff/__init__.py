"""What changed for clients between two configurations, each change judged breaking, dangerous or safe.

What clients send may not get narrower, what they receive may not get wider. A schema is compared by what it accepts, not
by how it is written (`channeld.schema.compare`); where that can't be decided the change is dangerous, and a frame that shows it to be
worse makes it breaking.

Reading order: `change.py` (a finding), `side.py` (a configuration that is compared), `comparison.py` (both, and what a schema's change
does), `severity.py` (how bad which difference is for whom); the parts of the file: `paths.py`, `names.py`, `messages.py`, `delivered.py`,
`access.py`, `limits.py`, `server.py`, and `unjudged.py` for what clients do not feel; `changes.py` (all of them), `accept.py`,
`rights.py` (what changed in who may do what), `text.py` and `render.py` (how it is shown). `revisions.py` reads files out of git.
"""
