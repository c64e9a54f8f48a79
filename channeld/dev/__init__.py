"""For development: the interactive client, minted tokens, new projects, the table of routes."""
