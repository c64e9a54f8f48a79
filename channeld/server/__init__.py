"""Sockets: everything between a client's bytes and the engine's sessions. No JSON is looked at here.

Rules: `connection.py` knows what a connection may do, a transport knows what its bytes mean, and neither waits. Drivers
wait, and never look at bytes. Everything that is written goes through an outbox. An exception from above or below ends one
connection only.

Reading order: `ports.py` (what the server needs from others), `connection.py` and `state.py` (the map of its states),
`watched.py` (its clock), `outbox.py`, `transports/`, `drivers/`, `sockets.py`, `listener.py`. The opening handshake:
`head.py`, `exchange.py`, `handshake.py`, `origins.py`, `admission.py`. Over plain HTTP: `calls.py`, `reads.py`. Slow
readers: `flow.py`, `stall.py`. Next to them: `runtime.py`, `asyncio_loop.py`, `hook_server.py`, `lifespan.py`, `backends.py`,
`http_client.py`, `jwks.py`, `log_writer.py`, `otel.py`, `systemd.py`, `http.py` for ASGI applications, `workers.py` and
`broker_link.py` for several processes.
"""
