"""For development: the interactive client (`client.py`), minted tokens, new projects, the table of routes, `rights.py`."""
