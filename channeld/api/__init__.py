"""The control API and the console, as an ASGI application: HTTP and JSON for the rest of an application.

Rules: a request is refused as early as possible (origin, key, path, format, then its contents); every error is a problem
document; events are published through the engine's single entry point; answers cover all nodes. Nothing here binds a
socket, and all state is in `Control`, so two can exist in one process.

Reading order: `control.py` (what the API works on), `routes.py` (the table of requests), `app.py` (how one is answered),
`forms.py` (schemas of requests), `verbs.py` and `publishing.py` (what it does), `views.py` (what it shows), `metrics.py`,
`openapi.py`, `console_answers.py` (for the console). Also: `access.py` (keys, origins, hosts, which refusals are logged),
`answers.py` (schemas of answers), `responses.py` (JSON; unconfirmed nodes), `problems.py` (problem documents),
`idempotency.py`, `tails.py` (watching a room), `past.py` (the last minutes'
numbers), `insight.py` (what the console shows of these, of rooms and of connections).
"""
