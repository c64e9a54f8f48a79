"""For development: the interactive client, minted tokens, new projects, tables of routes and rights.

Reading order: `address.py` (where a client connects), `client.py` (the client), `prompt.py` (what is typed and shown), `mint.py` (tokens), `claims.py` (what they say),
`dev_file.py` (how commands find a running development server), `new_project.py`, `asyncapi.py`
and `asyncapi_schemas.py` (a first file out of an AsyncAPI document), `routes_table.py`, `rights.py` (who may do what).
"""
