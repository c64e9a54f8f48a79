"""What changed for clients between two configurations, each change judged breaking, dangerous or safe.

What clients send may not get narrower, what they receive may not get wider. A schema is compared by what it accepts, not
by how it is written; where that can't be decided the change is dangerous, and a frame that shows it to be worse makes it
breaking. Read in this order: `change.py` (a finding), `sides.py` (a configuration that is compared), `forms.py` and
`schemas.py` (two schemas), `levels.py` (the table: which change is how bad for whom), `witness.py` (a frame as proof),
`channels.py`, `messages.py`, `access.py`, `limits.py` (the parts of the file), `changes.py` (all of them), `accept.py`,
and `text.py` and `render.py` (how it is shown). `revisions.py` reads files out of git.
"""
