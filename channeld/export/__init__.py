"""Exports a configuration's contract with its clients to other formats.

`contract.py` describes a configuration once, from the client's side: the types that each channel accepts and sends, as
whole frames in JSON Schema. Every target (`asyncapi.py`, `jsonschema.py`, `typescript.py`, `python.py`, `markdown.py`,
`openapi.py`) is a function of that description alone. Read `contract.py`, then `describe.py` (how one is made, with
`frame_schemas.py`, `features.py`, `identifiers.py` and, for programming languages, `types.py`), then the target that you need.
"""
