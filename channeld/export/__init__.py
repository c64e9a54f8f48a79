"""What a configuration promises its clients, written in other people's languages.

`contract.py` describes a configuration once, from the client's side: the types that each channel takes and gives, as
whole frames in JSON Schema. Every target (`asyncapi.py`, `jsonschema.py`, `typescript.py`, `python.py`, `markdown.py`, `hooks.py`)
is a function of that description alone. Read `contract.py`, then `describe.py` (how
one is made, with `frames.py`, `reserved.py`, `names.py` and, for programming languages, `types.py`), then the target you care for.
"""
