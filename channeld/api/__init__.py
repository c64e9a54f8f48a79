"""The control API and the console: HTTP and JSON for the rest of an application, as an ASGI application.

Rules: a request is refused as early as it can be (origin, key, path, form, and only then what it asks for); whatever
goes wrong is a problem document; an event goes out through the engine's one choke point; what is answered is true of
all nodes. Nothing here binds a socket, and nothing is kept but what `Control` holds, so two may live in one process.

Reading order: `control.py` (what the API works on), `routes.py` (the table of requests), `app.py` (how one is answered),
`forms.py` (what it must look like), `verbs.py` and `publishing.py` (what it does), `views.py` (what it shows),
`metrics.py`, `openapi.py`, `console_answers.py` (the console's side), `revoking.py` (tokens). Beside them: `access.py` (keys, origins,
hosts), `answers.py` (schemas of answers), `responses.py` (JSON; what other nodes have not confirmed), `problems.py` (refusals as
documents), `idempotency.py`, `refusals.py` (which are logged), `tails.py` (watching a room), `past.py` (the last
minutes' numbers), `insight.py` (what the console shows of them, of rooms and of connections).
"""
