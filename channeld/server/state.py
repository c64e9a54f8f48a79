"""The states of a connection (`connection.py`):

    HEAD ──accepted──▶ OPEN ──our Close──▶ CLOSING ──their Close──▶ ENDING ──all is sent──▶ GONE
     │ ▲                │ │ └──their Close, or the end of TCP────────▶ ENDING
     │ └───answered─────┘ └─violation─┐                in each but OPEN: ──deadline──▶ GONE
     └─refused──▶ LINGERING ◀─────────┘ ──end of TCP──▶ GONE

- In OPEN the transport's reader reads. Which reader is not a state: they all have the same interface.
- Every state but OPEN has a deadline. One timer serves them all; in OPEN it is the keep-alive's.
- Once the connection has left OPEN nothing more is queued, unless a call was answered (`transports/call.py`): then it waits
  for the head of another request, as a new connection does.
- The session's `closed` is called exactly once: at the end of the turn in which the connection left OPEN, and after whatever
  the session had pending, so a session never sees its own end while it is doing something.
"""

import enum


class State(enum.Enum):
    """Where a connection is in its life."""

    HEAD = "the request's head is awaited"
    OPEN = "messages are taken"
    # Our Close is queued; the client's messages are read and dropped until its own Close arrives.
    CLOSING = "the client's Close is awaited"
    # Until the client is gone: a `close()` with unread bytes would reset the connection and destroy our last bytes.
    LINGERING = "the write side is shut, what arrives is discarded"
    ENDING = "the outbox is emptied, nothing is read"
    GONE = "the socket is closed"
