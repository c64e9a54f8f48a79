"""How frames travel: one module and one row of `TRANSPORTS` for each transport.

Reading order: `transport.py` (the contract), `websocket.py` with its readers: the scanner of `channeld.protocol.websocket`
and `fallback.py`; `extensions.py` and `deflate.py` for permessage-deflate. Over plain HTTP: `web.py` (what they share),
`sse.py`, `call.py`.
"""

from channeld.server.transports.call import Post, Preflight, Read
from channeld.server.transports.sse import ServerSentEvents
from channeld.server.transports.transport import Transport
from channeld.server.transports.websocket import WebSocket

# A request that asks for none of them is judged by the first, whose refusal says how to ask for one.
TRANSPORTS: tuple[Transport, ...] = (WebSocket(), ServerSentEvents())
# Requests that are answered as a whole, if there is an `Answerer`.
CALLS: tuple[Transport, ...] = (Post(), Preflight(), Read())
