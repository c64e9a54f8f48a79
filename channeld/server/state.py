"""The states of a connection (`connection.py`):

    HEAD ──accepted──▶ OPEN ──our Close──▶ CLOSING ──their Close──▶ ENDING ──all is sent──▶ GONE
     │ ▲                │ │ └──their Close, or the end of TCP────────▶ ENDING
     │ └───answered─────┘ └─violation─┐                in each but OPEN: ──deadline──▶ GONE
     └─refused──▶ LINGERING ◀─────────┘ ──end of TCP──▶ GONE

- In OPEN the transport's reader reads; which one is not a state: all are asked and answer alike.
- Every state but OPEN has a deadline, and one timer serves them all; in OPEN it is the keep-alive's.
- Once the connection has left OPEN nothing is queued any more, unless a call was answered (`transports/call.py`): then
  it waits for the head of another request, as a new connection does.
- The session is told `closed` exactly once: at the end of the turn in which the connection left OPEN, and after
  whatever it still had pending. So nothing that a session does meets its own end half-way.
"""

import enum


class State(enum.Enum):
    """Where a connection is in its life."""

    HEAD = "the request's head is awaited"
    OPEN = "messages are taken"
    # Our last words are queued; the client's messages are read, and dropped, until its own come.
    CLOSING = "the client's Close is awaited"
    # The write side is shut; what arrives is thrown away until the client is gone too: a `close()` with bytes unread
    # would make TCP destroy our last words.
    LINGERING = "all is said, the client is listened out"
    ENDING = "the outbox is emptied, nothing is read"
    GONE = "the socket is closed"
