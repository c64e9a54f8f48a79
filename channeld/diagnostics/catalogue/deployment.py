"""CH7xx: deployment and style."""

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

_LOBBY = """\
channeld: 1
channels:
  lobby:
    path: /chat
    description: One room for all.
    auth: none
    rooms: lobby
    messages:
      say: {schema: true, route: room}
"""

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH701",
        "no-description",
        Severity.INFO,
        "the channel has no description",
        "A sentence about a channel is shown wherever people meet it: in the exported documentation, in generated clients "
        "and in the console.",
        _LOBBY.replace("    description: One room for all.\n", ""),
        _LOBBY,
    ),
    Entry(
        "CH703",
        "names-alike",
        Severity.WARNING,
        "two channels are easily mixed up",
        "The names differ only in capitals, or in `-`, `_` and `.`. People who publish through the API, read metrics or use "
        "a generated client will take one for the other; in some generated code they are the same.",
        _LOBBY + "  Lobby: {path: /lobby, description: Old., auth: none, events: {news: {}}}\n",
        _LOBBY + "  news: {path: /news, description: New., auth: none, events: {news: {}}}\n",
    ),
    Entry(
        "CH704",
        "workers-without-broker",
        Severity.ERROR,
        "several processes need a broker that they share",
        "Each process holds a part of the connections. With the `memory` broker a frame would reach only those in the "
        "sender's own process, and a room would be as many rooms as there are processes.",
        _LOBBY.replace("channels:", "server: {workers: 4}\nchannels:", 1),
        _LOBBY.replace("channels:", "server: {workers: 4}\nbroker: valkey\nchannels:", 1),
    ),
    Entry(
        "CH705",
        "workers-on-a-unix-socket",
        Severity.ERROR,
        "several processes cannot share a Unix socket",
        "The kernel deals the connections to a TCP port out to all processes that listen on it. A Unix socket belongs to the "
        "one that bound it: the others could not start. A proxy in front can as well reach a port of 127.0.0.1.",
        _LOBBY.replace(
            "channels:",
            "server: {workers: 4, bind: 'unix:chat.sock'}\nbroker: valkey\nchannels:",
            1,
        ),
        _LOBBY.replace(
            "channels:",
            "server: {workers: 4, bind: '127.0.0.1:4000'}\nbroker: valkey\nchannels:",
            1,
        ),
    ),
)
