"""CH3xx: paths, routes and templates."""

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

_CLOSED = "schema: {type: object, additionalProperties: false, "
SAY = _CLOSED + "required: [text], properties: {text: {type: string, maxLength: 500}}}"
WORD = _CLOSED + 'required: [text], properties: {text: {type: string, pattern: "^[a-z]{1,9}$"}}}'
TO = _CLOSED + "required: [to], properties: {to: {type: string, maxLength: 128}}}"
LOOSE = _CLOSED + "properties: {to: {type: string, maxLength: 128}}}"
TAGS = _CLOSED + "required: [tags], properties: {tags: {type: array, maxItems: 9}}}"
TOKENS = f"""auth:
  staff: {{type: tokens, tokens: [{{token: "sha256:{"0123456789abcdef" * 4}", user: ann}}]}}
"""


def _path(path: str, more: str = "") -> str:
    """A configuration whose one channel has this path."""
    return f"""channeld: 1
channels:
  room:
    path: {path}
    description: One room.
    auth: none
    events: {{news: {{}}}}
{more}"""


def _paths(first: str, second: str) -> str:
    """A configuration with two channels."""
    return f"""channeld: 1
channels:
  first: {{path: "{first}", description: Old news., auth: none, events: {{news: {{}}}}}}
  second: {{path: "{second}", description: New news., auth: none, events: {{news: {{}}}}}}
"""


def _message(schema: str, *lines: str, channel: str = "", auth: str = "none", top: str = "") -> str:
    """A configuration with one channel and one message type, `say`."""
    body = "".join(f"        {line}\n" for line in (schema, *lines))
    return f"""channeld: 1
{top}channels:
  room:
    path: /rooms/{{room_id}}
    description: One room.
    params: {{room_id: {{type: string, pattern: "^[a-z]{{1,9}}$"}}}}
    auth: {auth}
{channel}    messages:
      say:
{body}"""


JOIN = '    rooms: "{params.room_id}"\n'
EVENT = "    events: {said: {schema: {type: object, required: [text], properties: {text: {type: string}}}}}\n"

BELL = """  bell:
    path: /bell
    description: Who rang.
    auth: none
    events: {{{}: {{schema: true}}}}
"""

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH301",
        "path-syntax",
        ERROR,
        "path is not written correctly",
        "A path starts with `/` and is made of segments. A segment is literal text, or one param: `{name}`. "
        "`{rest...}` may be the last one and takes all that is left. A query or a fragment is no part of it, and a "
        "param is a whole segment.",
        wrong=_path("/rooms/:room_id"),
        right=_path('"/rooms/{room_id}"'),
    ),
    Entry(
        "CH302",
        "param-unknown",
        ERROR,
        "param is not in the path",
        "`params` and `{params.NAME}` speak of the segments that `path` names. A name that is not there has no value.",
        wrong=_path('"/rooms/{room_id}"', '    rooms: "{params.rom_id}"\n'),
        right=_path('"/rooms/{room_id}"', '    rooms: "{params.room_id}"\n'),
    ),
    Entry(
        "CH303",
        "param-open",
        INFO,
        "param has no schema, though others have",
        "A param without a schema is any text of 1 to 128 characters. Where other params of the channel have one, this "
        "one may have been forgotten.",
        wrong=_path('"/a/{x}/{y}"', "    params: {x: {type: integer}}\n"),
        right=_path('"/a/{x}/{y}"', "    params: {x: {type: integer}, y: {type: integer}}\n"),
    ),
    Entry(
        "CH304",
        "param-twice",
        ERROR,
        "param stands twice in one path",
        "Each param of a path has its own name, or one of the two values would be lost.",
        wrong=_path('"/games/{id}/rounds/{id}"'),
        right=_path('"/games/{game}/rounds/{round}"'),
    ),
    Entry(
        "CH305",
        "path-duplicate",
        ERROR,
        "two channels have the same path",
        "Two paths are the same when they differ in the names of their params only. A schema of a param does not tell "
        "channels apart: it refuses.",
        wrong=_paths("/rooms/{room_id}", "/rooms/{name}"),
        right=_paths("/rooms/{room_id}", "/teams/{name}"),
    ),
    Entry(
        "CH306",
        "path-overlap",
        ERROR,
        "two paths match the same URL and neither is more specific",
        "A literal segment beats a param, so `/rooms/new` beside `/rooms/{room_id}` is fine. Where each path has a "
        "literal at which the other has a param, nothing decides.",
        wrong=_paths("/a/{x}/c", "/a/b/{y}"),
        right=_paths("/a/{x}/c", "/a/b/c"),
    ),
    Entry(
        "CH307",
        "path-unreachable",
        ERROR,
        "no URL leads to the channel",
        "Clients resolve `.` and `..` before they ask. A path whose param can only be what other channels have as a "
        "literal is never reached either.",
        wrong=_path("/rooms/../chat"),
        right=_path("/chat"),
    ),
    Entry(
        "CH309",
        "template-unknown-field",
        ERROR,
        "template names a field that does not exist",
        "Every name in a template is looked for before the server starts: a message's fields in its schema, a claim's "
        "in the authenticator's. A misspelt one is found here, not by a user.",
        wrong=_message(SAY, "route: sender", 'stamp: {copy: "{message.txt}"}'),
        right=_message(SAY, "route: sender", 'stamp: {copy: "{message.text}"}'),
    ),
    Entry(
        "CH310",
        "template-not-guaranteed",
        ERROR,
        "template field is not guaranteed",
        "A template can't fail while the server runs, so a field that it names must be there in every message that the "
        "schema accepts: required all the way down. Otherwise say what happens without it: `{message.to?}` leaves the "
        "field out.",
        wrong=_message(LOOSE, "route: sender", 'stamp: {copy: "{message.to}"}'),
        right=_message(LOOSE, "route: sender", 'stamp: {copy: "{message.to?}"}'),
    ),
    Entry(
        "CH311",
        "template-type",
        ERROR,
        "value has a type that can't stand here",
        "A room and a user are named by a string or a number. A value within a longer string must be a scalar: a list "
        "or an object has no text.",
        wrong=_message(
            TAGS,
            "route: sender",
            'stamp: {line: "tags: {message.tags}"}',
        ),
        right=_message(
            TAGS,
            "route: sender",
            'stamp: {line: "{message.tags}"}',
        ),
    ),
    Entry(
        "CH312",
        "route-unknown-channel",
        ERROR,
        "route names a channel that does not exist",
        "`channel` in a route is the name of a channel of this configuration, or `*` with `to: global`.",
        wrong=_message(SAY, "route: {to: global, channel: rom}"),
        right=_message(SAY, "route: {to: global, channel: room}"),
    ),
    Entry(
        "CH315",
        "message-goes-nowhere",
        WARNING,
        "message type has no route and no hook",
        "Such a message is checked, acknowledged and thrown away.",
        wrong=_message(SAY),
        right=_message(SAY, "route: sender"),
    ),
    Entry(
        "CH316",
        "emit-misfit",
        ERROR,
        "emitted frame can't satisfy its event",
        "An emitted frame whose type is a declared event must satisfy the event's schema. This one never can: a "
        "required field is missing, or a value has the wrong type.",
        wrong=_message(SAY, "route: sender", "emit: {type: said}", channel=EVENT),
        right=_message(
            SAY, "route: sender", 'emit: {type: said, text: "{message.text}"}', channel=EVENT
        ),
    ),
    Entry(
        "CH317",
        "room-from-any-text",
        INFO,
        "any text of the client's becomes part of a room name",
        "Where a room's name is put together, text without a `pattern` can be made to spell another room's name. Being "
        "a member is still required, unless the route says otherwise.",
        wrong=_message(
            SAY, 'route: {to: room, room: "t-{message.text}", members_only: false}', channel=JOIN
        ),
        right=_message(
            WORD,
            'route: {to: room, room: "t-{message.text}", members_only: false}',
            channel=JOIN,
        ),
    ),
    Entry(
        "CH318",
        "template-syntax",
        ERROR,
        "template is not written correctly",
        "A template's expression is names joined by dots, in braces: `{message.text}`, with `?` at the end where it may "
        "be missing. There is no code in it. `{{` and `}}` are literal braces.",
        wrong=_message(SAY, "route: sender", 'stamp: {copy: "{message.text"}'),
        right=_message(SAY, "route: sender", 'stamp: {copy: "{message.text}"}'),
    ),
    Entry(
        "CH319",
        "template-unknown-root",
        ERROR,
        "template starts with an unknown word",
        "A template starts with `message`, `params`, `user`, `claims`, `connection`, `room`, `now`, `now_ms` or `uuid`.",
        wrong=_message(SAY, "route: sender", 'stamp: {copy: "{mesage.text}"}'),
        right=_message(SAY, "route: sender", 'stamp: {copy: "{message.text}"}'),
    ),
    Entry(
        "CH320",
        "template-out-of-place",
        ERROR,
        "template names what does not exist here",
        "On connect there is no message yet; where the user id is made there is no user. And some places take no "
        "template at all: the name of a channel, the key of a field.",
        wrong=_path('"/rooms/{room_id}"', '    rooms: "{message.room}"\n'),
        right=_path('"/rooms/{room_id}"', '    rooms: "{params.room_id}"\n'),
    ),
    Entry(
        "CH321",
        "route-without-room",
        ERROR,
        "route to a room names none",
        "`route: room` means the one room that the channel joins on connect. Where there is none, or several, the route "
        "has to say which.",
        wrong=_message(SAY, "route: room"),
        right=_message(SAY, "route: room", channel=JOIN),
    ),
    Entry(
        "CH322",
        "route-without-user",
        ERROR,
        "route to a user names none",
        "`to: user` needs `user:`, a template that gives the receiver's id.",
        wrong=_message(TO, "route: user", 'stamp: {from: "{user.id}"}', auth="staff", top=TOKENS),
        right=_message(
            TO,
            'route: {to: user, user: "{message.to}"}',
            'stamp: {from: "{user.id}"}',
            auth="staff",
            top=TOKENS,
        ),
    ),
    Entry(
        "CH323",
        "sender-never-member",
        ERROR,
        "sender can't be in the room that it sends to",
        "Whoever sends to a room must be in it. Here no connection ever is: the channel joins no room, allows no "
        "`subscribe`, and has no hook that could do it.",
        wrong=_message(SAY, "route: {to: room, room: general}"),
        right=_message(SAY, "route: {to: room, room: general, members_only: false}"),
    ),
    Entry(
        "CH324",
        "room-out-of-reach",
        ERROR,
        "nobody can be in the room",
        "The route's room matches no room that the channel joins and none that it allows to subscribe to, so every "
        "message is refused.",
        wrong=_message(
            SAY,
            "route: {to: room, room: generl}",
            channel="    rooms: {subscribe: {allow: [general]}}\n",
        ),
        right=_message(
            SAY,
            "route: {to: room, room: general}",
            channel="    rooms: {subscribe: {allow: [general]}}\n",
        ),
    ),
    Entry(
        "CH325",
        "delivered-twice",
        WARNING,
        "two targets reach the same connection",
        "Each target of a route is delivered for itself, so who is reached by two of them gets the frame twice.",
        wrong=_message(SAY, "route: [room, sender]", channel=JOIN),
        right=_message(SAY, "route: [{to: room, except_sender: true}, sender]", channel=JOIN),
    ),
    Entry(
        "CH326",
        "no-room-here",
        ERROR,
        "there may be no room to name",
        "`{room}` is the room that a frame is routed to, or the channel's one `join` room. Where a target is no room "
        "and the channel joins none, or several, it has no value.",
        wrong=_message(SAY, "route: sender", 'stamp: {where: "{room}"}'),
        right=_message(SAY, "route: sender", 'stamp: {where: "{room}"}', channel=JOIN),
    ),
    Entry(
        "CH327",
        "receiver-cannot-tell",
        WARNING,
        "sender chooses the receiver, who can't tell who sent it",
        "Any user may send this to any other, and the frame does not say who did: that invites abuse. Stamp the "
        "sender's id, or restrict who may send with `require` or a hook.",
        wrong=_message(TO, 'route: {to: user, user: "{message.to}"}', auth="staff", top=TOKENS),
        right=_message(
            TO,
            'route: {to: user, user: "{message.to}"}',
            'stamp: {from: "{user.id}"}',
            auth="staff",
            top=TOKENS,
        ),
    ),
    Entry(
        "CH328",
        "event-undeclared",
        ERROR,
        "emitted type is not one of the channel's events",
        "A channel with `events` says all that a client can receive. A type that is emitted has to be among them, or be "
        "one of the channel's message types.",
        wrong=_message(
            SAY, "route: sender", 'emit: {type: sad, text: "{message.text}"}', channel=EVENT
        ),
        right=_message(
            SAY, "route: sender", 'emit: {type: said, text: "{message.text}"}', channel=EVENT
        ),
    ),
    Entry(
        "CH329",
        "position-overwritten",
        WARNING,
        "field is overwritten in a channel that keeps history",
        "Every frame that is kept gets `room` and `pos` from channeld, so that clients can recover. A field of that "
        "name never arrives.",
        wrong=_message(
            SAY,
            "route: room",
            "stamp: {pos: 1}",
            channel=JOIN + "    history: {size: 9, ttl: 1h}\n",
        ),
        right=_message(
            SAY,
            "route: room",
            "stamp: {place: 1}",
            channel=JOIN + "    history: {size: 9, ttl: 1h}\n",
        ),
    ),
    Entry(
        "CH330",
        "param-unmatchable",
        ERROR,
        "no segment satisfies the param's schema",
        "A param is a piece of text that may be converted to an integer, a number or a boolean. A schema that wants an "
        "object, a list or null refuses every URL.",
        wrong=_path('"/rooms/{room_id}"', "    params: {room_id: {type: object}}\n"),
        right=_path('"/rooms/{room_id}"', "    params: {room_id: {type: integer}}\n"),
    ),
    Entry(
        "CH331",
        "path-trailing-slash",
        WARNING,
        "path ends in a slash",
        "`/rooms/` and `/rooms` are two paths, and only the one that is declared matches.",
        wrong=_path("/rooms/"),
        right=_path("/rooms"),
    ),
    Entry(
        "CH332",
        "template-needs-user",
        ERROR,
        "template needs a user where connections may be anonymous",
        "`{user.id}` and `{claims.x}` have a value only for users. Where `auth` is `none` or optional, say what happens "
        "without one: `{user.id?}` leaves the field out.",
        wrong=_message(SAY, "route: sender", 'stamp: {from: "{user.id}"}'),
        right=_message(SAY, "route: sender", 'stamp: {from: "{user.id?}"}'),
    ),
    Entry(
        "CH333",
        "route-option-unused",
        WARNING,
        "option means nothing with this target",
        "`room` and `members_only` go with `to: room`, `user` with `to: user`; `except_sender` and `channel` with "
        "targets that reach others.",
        wrong=_message(SAY, "route: {to: sender, except_sender: true}"),
        right=_message(SAY, "route: sender"),
    ),
    Entry(
        "CH334",
        "emit-type",
        ERROR,
        "type of an emitted frame is not a constant",
        "What a channel can send is known before it starts: the type of an emitted frame is text without expressions.",
        wrong=_message(SAY, "route: sender", 'emit: {type: "{message.text}"}'),
        right=_message(SAY, "route: sender", 'emit: {type: said, text: "{message.text}"}'),
    ),
    Entry(
        "CH335",
        "route-undeclared-there",
        ERROR,
        "route reaches a channel that does not declare the type",
        "A channel that declares `events` promises its clients that nothing else comes. A message that is routed there "
        "from another channel is no exception: declare its type among that channel's events, too.",
        wrong=_message(SAY, "route: {to: global, channel: bell}") + BELL.format("ring"),
        right=_message(SAY, "route: {to: global, channel: bell}") + BELL.format("say"),
    ),
    Entry(
        "CH336",
        "name-impossible",
        ERROR,
        "no room and no user can have this name",
        "A name has 1 to 128 characters, in Unicode's form NFC, without control characters. With any other every client would "
        "be refused when it connects or sends.",
        wrong=_path("/chat", '    rooms: ""\n'),
        right=_path("/chat", "    rooms: lobby\n"),
    ),
)
