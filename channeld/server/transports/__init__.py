"""How frames travel on a connection: `fallback.py` reads with wsproto, `deflate.py` and `extensions.py` compress."""
