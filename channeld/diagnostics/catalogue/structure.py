"""CH1xx: the structure of the file; with two findings about message types (CH308, CH313)."""

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
_JOINED = "# chat.py: def joined(ctx): return None\n"


def _server(lines: str) -> str:
    """A small whole file with a `server` section."""
    return _LOBBY.replace("channels:", f"server:\n{lines}channels:", 1)


def _channel(line: str) -> str:
    """A small whole file with one more line in its channel."""
    return _LOBBY.replace("    rooms: lobby\n", f"    rooms: lobby\n    {line}\n")


def _message(text: str) -> str:
    """A small whole file with another message."""
    return _LOBBY.replace("say: {schema: true, route: room}", text)


def _auth(text: str) -> str:
    """A small whole file with an authenticator, which the channel uses."""
    return _LOBBY.replace("channels:", f"auth:\n  session: {text}\nchannels:", 1).replace(
        "auth: none", "auth: session"
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH101",
        "version-missing",
        Severity.ERROR,
        "the file does not say which version of the language it is written in",
        "Every configuration starts with `channeld: 1`. The number is the version of the *language*, not of the "
        "program: it lets a later channeld read old files as they were meant. Add it on the first line.",
        _LOBBY.removeprefix("channeld: 1\n"),
        _LOBBY,
    ),
    Entry(
        "CH102",
        "version-unsupported",
        Severity.ERROR,
        "this channeld understands version 1 of the language",
        "The file says that it is written in another version of the language. If the number is higher, this channeld is "
        "too old for it, and nothing else in the file is checked. Version 1 is written `channeld: 1`, without quotes and "
        "without a point.",
        _LOBBY.replace("channeld: 1", "channeld: 2"),
        _LOBBY,
    ),
    Entry(
        "CH103",
        "unknown-key",
        Severity.ERROR,
        "unknown key",
        "The language has no such key at this place. Unknown keys are errors everywhere, since a misspelt `reqiure` that "
        "was passed over would leave a channel open. Mend the spelling, move the key to where it belongs, or start its "
        "name with `x-`: such keys are allowed everywhere and ignored, which is handy for anchors and notes.",
        _channel("histroy: {size: 10, ttl: 1h}"),
        _channel("history: {size: 10, ttl: 1h}"),
    ),
    Entry(
        "CH104",
        "missing-key",
        Severity.ERROR,
        "a required key is missing",
        "Some keys have no default, because a guess would be dangerous or senseless: a channel's `path` and `auth` "
        "(`auth: none` has to be said), a message's `schema`, a JWT authenticator's `algorithms`.",
        _LOBBY.replace("    auth: none\n", ""),
        _LOBBY,
    ),
    Entry(
        "CH105",
        "wrong-type",
        Severity.ERROR,
        "a value of another type is wanted",
        "The key takes another kind of value: a list where there is a mapping, a number where there is text. YAML is read "
        "by its 1.2 rules: only `true` and `false` are booleans, so `yes`, `no`, `on` and `off` are text; a number in "
        "quotes is text, too.",
        _channel("presence: yes"),
        _channel("presence: false"),
    ),
    Entry(
        "CH106",
        "unknown-value",
        Severity.ERROR,
        "the key does not take this value",
        "The key takes one of a few words, and this is none of them. The finding lists them; `channeld explain` and an "
        "editor that reads the language's JSON Schema show what each means.",
        _server("  allowed_origins: same_origin\n"),
        _server("  allowed_origins: same-origin\n"),
    ),
    Entry(
        "CH107",
        "bad-duration",
        Severity.ERROR,
        "not a duration",
        "A duration is a whole number and a unit, without a space: `250ms`, `10s`, `5m`, `1h`, `7d`. A bare number has no "
        "meaning, since nobody can see its unit. Write `90s` for a minute and a half.",
        _server("  drain: 15 sec\n"),
        _server("  drain: 15s\n"),
    ),
    Entry(
        "CH108",
        "bad-size",
        Severity.ERROR,
        "not a size",
        "A size is a whole number of bytes, or a whole number and a unit: `64KiB`, `1MiB`, `1GiB` (powers of 1024), or "
        "`64kB`, `1MB`, `1GB` (powers of 1000). Letters count: `64kb` could mean either.",
        _server("  limits: {message_size: 64kb}\n"),
        _server("  limits: {message_size: 64KiB}\n"),
    ),
    Entry(
        "CH109",
        "bad-rate",
        Severity.ERROR,
        "not a rate",
        "A rate is a count and a period: `10/s`, `100/m`, `1000/h`. To allow more at once after a rest, write "
        "`{limit: 10/s, burst: 30}`; without `burst` it is the count.",
        _message("say: {schema: true, route: room, rate: 10/sec}"),
        _message("say: {schema: true, route: room, rate: 10/s}"),
    ),
    Entry(
        "CH110",
        "null-value",
        Severity.ERROR,
        "the key has no value",
        "After the colon there is nothing, which YAML reads as null. Mostly what belongs under the key is not indented "
        "more than the key itself. No key of the language takes null: leave the key out to get its default.",
        _channel("history:"),
        _channel("history: {size: 10, ttl: 1h}"),
    ),
    Entry(
        "CH118",
        "bad-name",
        Severity.ERROR,
        "the name has a character that names cannot have",
        "Names of channels, authenticators, message types, params and schemas travel into metrics, URLs, exports and "
        "keys of a broker. So they are made of letters, digits, `_`, `.` and `-` (message types may have `:` and `/` as "
        "well), and are not too long. `none` is no name of an authenticator, since `auth: none` means that there is none.",
        _LOBBY.replace("lobby:", "the lobby:"),
        _LOBBY.replace("lobby:", "the-lobby:"),
    ),
    Entry(
        "CH119",
        "bad-address",
        Severity.ERROR,
        "not an address",
        "An address to listen on is a host and a port (`127.0.0.1:4000`, `[::1]:4000`, and `:4000` for every interface), "
        "or `unix:PATH`. A proxy is trusted by its address or its network, such as `10.0.0.0/8`. A scheme, a path or a "
        "bare number does not belong there.",
        _server("  bind: 4000\n"),
        _server("  bind: 127.0.0.1:4000\n"),
    ),
    Entry(
        "CH120",
        "bad-notation",
        Severity.ERROR,
        "the text is not written as this key wants it",
        "The key takes text of a certain form: a hook is `module:function`, a key set is a URL, a token's hash is "
        "`sha256:` and 64 hex digits. The finding says which form is wanted.",
        _JOINED + _channel("hooks: {connect: chat.joined}"),
        _JOINED + _channel('hooks: {connect: "chat:joined"}'),
    ),
    Entry(
        "CH121",
        "empty",
        Severity.ERROR,
        "at least one entry is wanted",
        "An empty list or mapping says nothing here: `algorithms: []` would accept no token, `channels: {}` would serve "
        "nothing, and `require: {}` would look like a protection that is none.",
        _channel("require: {}"),
        _LOBBY,
    ),
    Entry(
        "CH122",
        "emit-and-stamp",
        Severity.ERROR,
        "`emit` and `stamp` exclude each other",
        "`stamp` adds fields over the message as it was sent; `emit` describes the whole delivered frame. With both, "
        "nobody could say which wins. Move the stamps into `emit`, or leave `emit` out.",
        _message('say: {schema: true, route: room, emit: {text: hi}, stamp: {at: "{now}"}}'),
        _message('say: {schema: true, route: room, emit: {text: hi, at: "{now}"}}'),
    ),
    Entry(
        "CH123",
        "stamp-reserved",
        Severity.ERROR,
        "`type` and `id` cannot be stamped",
        "`type` says which message a frame is and `id` belongs to the client's question and its answer. To deliver a "
        "frame of another type, write it with `emit`.",
        _message("say: {schema: true, route: room, stamp: {type: said}}"),
        _message("say: {schema: true, route: room, emit: {type: said}}"),
    ),
    Entry(
        "CH124",
        "named-file-unreadable",
        Severity.ERROR,
        "a file that a value names cannot be read",
        "`{file: PATH}` takes a value from a file; the path is relative to the file that names it. A file with a public "
        "key must be there. A file with secrets may be missing where `channeld validate` runs, since CI seldom has it: "
        "there it is a warning, and an error for `channeld run`.",
        _auth("{type: jwt, algorithms: [ES256], audience: chat, public_key: {file: missing.pem}}"),
        _auth("{type: jwt, algorithms: [ES256], audience: chat, jwks: {file: keys/jwks.json}}"),
    ),
    Entry(
        "CH308",
        "channel-silent",
        Severity.WARNING,
        "the channel declares neither messages nor events",
        "A client of this channel may send nothing, and nothing says what it may receive. Declare `messages` (client to "
        "server), or `events` (server to client) if only the server speaks there.",
        _LOBBY[: _LOBBY.index("    messages:")],
        _LOBBY,
    ),
    Entry(
        "CH313",
        "reserved-type",
        Severity.ERROR,
        "channeld itself uses this message type",
        "The protocol has frames of its own: `ping`, `subscribe`, `presence`, `history`, `error`, `ack` and more. A "
        "message or event of that name could not be told from them. Pick another name.",
        _message("ping: {schema: true, route: room}"),
        _message("poke: {schema: true, route: room}"),
    ),
)
