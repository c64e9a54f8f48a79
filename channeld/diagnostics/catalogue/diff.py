"""D1xx to D7xx: what `channeld diff` tells. An error is at worst breaking, a warning dangerous, an info safe."""

from typing import Final

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["BECOMES", "ENTRIES"]

BECOMES: Final = "--- becomes"
"""The line between the old and the new file in an entry's example."""

_BREAKING, _DANGEROUS, _SAFE = Severity.ERROR, Severity.WARNING, Severity.INFO
_OLD: Final = """\
channeld: 1
auth:
  session: {type: hook, hook: chat.hooks:who}
channels:
  room:
    path: /rooms/{id}
    params: {id: {type: string}}
    auth: none
    rooms: "{params.id}"
    history: {size: 100, ttl: 1h}
    messages:
      say:
        schema: {type: object, required: [text], properties: {text: {type: string}}}
        route: room
    events:
      news: {schema: {type: object, required: [title], properties: {title: {type: string}}}}
"""
_JWT: Final = _OLD.replace(
    "session: {type: hook, hook: chat.hooks:who}",
    'session: {type: jwt, algorithms: [HS256], secret: "${SECRET}", audience: chat}',
).replace("auth: none", "auth: session")
_SAY: Final = "schema: {type: object, required: [text], properties: {text: {type: string}}}"
_TEXT: Final = "{text: {type: string}}"


def _example(old: str, new: str, base: str = _OLD) -> str:
    """Two small whole files that differ in one place; each part stands in the base, or comes at its end."""
    before = base if old in base else base + old
    after = before.replace(old, new) if old else base + new
    return f"{before}{BECOMES}\n{after}"


def _schema(old: str, new: str) -> str:
    """An example about the text of a message."""
    before = _OLD.replace(_TEXT, f"{{text: {old}}}")
    return _example(f"{{text: {old}}}", f"{{text: {new}}}", before)


def _entry(code: str, name: str, severity: Severity, title: str, more: tuple[str, str]) -> Entry:
    explanation, example = more
    return Entry(code, name, severity, title, explanation, example)


_CHANNELS: Final = (
    _entry(
        "D101", "channel-removed", _BREAKING, "a channel is gone",
        ("Clients that connect to its path get HTTP 404. Keep it until nobody uses it; the metrics tell how many "
         "connections it has.",
         _example("", "  other: {path: /other, auth: none, events: {}}\n").replace(
             _OLD + BECOMES, _OLD + "  old: {path: /old, auth: none, events: {}}\n" + BECOMES)),
    ),
    _entry(
        "D102", "path-changed", _BREAKING, "a channel has another path",
        ("Clients have the old path built in and get HTTP 404. Offer the new path as another channel, and remove the old "
         "one later. A path that matches all the old URLs and more is safe.",
         _example("path: /rooms/{id}", "path: /r/{id}")),
    ),
    _entry(
        "D103", "channel-added", _SAFE, "a channel is new",
        ("No client of today connects to it.",
         _example("", "  other: {path: /other, auth: none, events: {}}\n")),
    ),
    _entry(
        "D104", "path-taken-over", _BREAKING, "URLs of one channel lead to another",
        ("A literal segment beats a param, so a new path can take URLs away from a channel that had them. Clients that "
         "use them get into the wrong channel.",
         _example("", "  other: {path: /rooms/new, auth: none, events: {}}\n")),
    ),
    _entry(
        "D105", "param-narrowed", _BREAKING, "a param of a path allows less",
        ("Clients with a value that is no longer allowed get HTTP 404.",
         _example("{id: {type: string}}", "{id: {type: string, maxLength: 20}}")),
    ),
    _entry(
        "D106", "param-widened", _SAFE, "a param of a path allows more",
        ("Every URL of today still works.",
         _example("{id: {type: string, maxLength: 20}}", "{id: {type: string}}",
                  _OLD.replace("{id: {type: string}}", "{id: {type: string, maxLength: 20}}"))),
    ),
    _entry(
        "D107", "param-renamed", _SAFE, "a param of a path has another name",
        ("The name of a param is not on the wire. Hooks and templates that use it have to change with it.",
         _example("id}", "room}").replace("params: {id:", "params: {id:", 1).replace(
             BECOMES + "\n" + _OLD.replace("id}", "room}"),
             BECOMES + "\n" + _OLD.replace("id}", "room}").replace("{id:", "{room:"))),
    ),
    _entry(
        "D108", "channel-renamed", _DANGEROUS, "a channel has another name",
        ("Clients know its path only, and that is the same. But whoever publishes to it through the control API names it, "
         "and so do dashboards.",
         _example("  room:", "  chat:")),
    ),
)  # fmt: skip
_TYPES: Final = (
    _entry(
        "D201", "type-removed", _BREAKING, "a message or an event is gone",
        ("Clients that send the message get `UNKNOWN_TYPE`; clients that wait for the event wait for ever. Mark a message "
         "as `deprecated` first, and remove it when the metrics show that nobody sends it.",
         _example("      ping: {schema: true, route: sender}\n", "",
                  _OLD.replace("    messages:\n", "    messages:\n      ping: {schema: true, route: sender}\n"))),
    ),
    _entry(
        "D202", "type-added", _DANGEROUS, "a message or an event is new",
        ("To be able to send something more hurts nobody. But clients of today that *receive* a type that they don't know "
         "may fail over it, so a new event is dangerous, and so is a message that is routed to others.",
         _example("    events:\n", "    events:\n      more: {schema: {type: object}}\n")),
    ),
    _entry(
        "D203", "type-renamed", _BREAKING, "a type has another name",
        ("For clients of today the old type is gone. Offer both for a while.",
         _example("      say:", "      speak:")),
    ),
    _entry(
        "D204", "direction-changed", _BREAKING, "a type goes the other way",
        ("What clients sent they can't send any more (or the other way round).",
         _example("      news: {schema: {type: object, required: [title], properties: {title: {type: string}}}}",
                  "      say: {schema: {type: object}}").replace(
             BECOMES + "\n" + _OLD.partition("      say:")[0], BECOMES + "\n" + _OLD.partition("      say:")[0]
             + "      shout: {schema: {type: object, maxProperties: 1}, route: room}\n").replace(
             "shout: {schema: {type: object, maxProperties: 1}, route: room}\n      say:\n        " + _SAY
             + "\n        route: room", "shout: {schema: {type: object, maxProperties: 1}, route: room}")),
    ),
    _entry(
        "D205", "events-declared", _SAFE, "only declared events are published now",
        ("Nothing comes that did not come before.",
         _example("    events:\n      news: {schema: {type: object, required: [title], properties: {title: {type: string}}}}\n",
                  "").replace(_OLD, "\0").replace(
             "\0" + BECOMES + "\n", "").replace("\0", "") + BECOMES + "\n" + _OLD),
    ),
    _entry(
        "D206", "events-undeclared", _DANGEROUS, "events need not be declared any more",
        ("Clients may get types that nobody told them of.",
         _example("    events:\n      news: {schema: {type: object, required: [title], properties: {title: {type: string}}}}\n",
                  "")),
    ),
    _entry(
        "D207", "message-deprecated", _SAFE, "a message is deprecated now",
        ("It works as before. Exports mark it, so that whoever uses it learns of it.",
         _example("        route: room\n", "        route: room\n        deprecated: true\n")),
    ),
)  # fmt: skip
_SCHEMAS: Final = (
    _entry(
        "D301", "required-added", _BREAKING, "a field is required now",
        ("Clients of today that leave it out get `INVALID_MESSAGE`. Make it optional, and let a hook fill it in. In an "
         "event it is safe: clients get more than they were promised.",
         _example("properties: {text: {type: string}}", "properties: {text: {type: string}, to: {type: string}}").replace(
             "required: [text], properties: {text: {type: string}, to", "required: [text, to], properties: {text: {type: string}, to")),
    ),
    _entry(
        "D302", "required-removed", _BREAKING, "a field may be missing now",
        ("Clients that receive it count on the field. For those who send it is safe.",
         _example("required: [title], ", "")),
    ),
    _entry(
        "D303", "property-removed", _BREAKING, "a field is gone",
        ("Where the object takes no other fields, clients that send it are refused; elsewhere what they send is no longer "
         "looked at. Clients that receive the object miss the field.",
         _example("required: [title], properties: {title: {type: string}}", "")),
    ),
    _entry(
        "D304", "property-added", _SAFE, "an optional field is new",
        ("Clients of today don't send it. It is dangerous where the object took other fields before, since somebody may "
         "have sent one of that name, and for receivers that refuse fields that they don't know.",
         _example("properties: {title: {type: string}}", "properties: {title: {type: string}, author: {type: string}}")),
    ),
    _entry(
        "D305", "type-narrowed", _BREAKING, "a value has fewer types",
        ("Clients that send one of the others get `INVALID_MESSAGE`. In an event it is safe.",
         _schema("{type: [string, number]}", "{type: string}")),
    ),
    _entry(
        "D306", "type-widened", _BREAKING, "a value has more types",
        ("Clients that receive it do not expect them. For those who send it is safe.",
         _schema("{type: string}", "{type: [string, number]}")),
    ),
    _entry(
        "D307", "type-changed", _BREAKING, "a value has another type",
        ("Nobody who sends it or receives it is right any more. Add another field instead.",
         _schema("{type: string}", "{type: number}")),
    ),
    _entry(
        "D308", "enum-value-removed", _BREAKING, "a value is no longer allowed",
        ("Clients that send it get `INVALID_MESSAGE`. In an event it is safe.",
         _schema("{enum: [a, b, c]}", "{enum: [a, b]}")),
    ),
    _entry(
        "D309", "enum-value-added", _BREAKING, "another value is allowed",
        ("Clients that receive it may have no case for it. With `x-extensible-enum: true` in the schema, which tells them "
         "to expect more, it is dangerous only. For those who send it is safe.",
         _schema("{enum: [a, b]}", "{enum: [a, b, c]}")),
    ),
    _entry(
        "D310", "bound-tightened", _BREAKING, "a limit in a schema is tighter",
        ("Clients that send what is now beyond it get `INVALID_MESSAGE`. In an event it is safe.",
         _schema("{type: string, maxLength: 2000}", "{type: string, maxLength: 1000}")),
    ),
    _entry(
        "D311", "bound-loosened", _BREAKING, "a limit in a schema is looser",
        ("Clients that receive the value may count on the old limit. For those who send it is safe; where a message is "
         "passed on to others as it is, it is dangerous.",
         _example("properties: {title: {type: string, maxLength: 80}}", "properties: {title: {type: string}}",
                  _OLD.replace("{title: {type: string}}", "{title: {type: string, maxLength: 80}}"))),
    ),
    _entry(
        "D312", "text-form-changed", _BREAKING, "a pattern or a format changed",
        ("A new one refuses what clients send today. Whether another one does can't be told from the patterns, so that is "
         "dangerous. For receivers it is never more than dangerous.",
         _schema("{type: string}", '{type: string, pattern: "^[a-z]+$"}')),
    ),
    _entry(
        "D313", "object-closed", _BREAKING, "no other fields are allowed now",
        ("Clients that send fields that the schema does not name get `INVALID_MESSAGE`.",
         _example("required: [text], ", "additionalProperties: false, required: [text], ")),
    ),
    _entry(
        "D314", "object-opened", _SAFE, "other fields are allowed now",
        ("Clients that send gain; those who receive may refuse fields that they don't know, so there it is dangerous.",
         _example("additionalProperties: false, required: [title], ", "required: [title], ",
                  _OLD.replace("required: [title], ", "additionalProperties: false, required: [title], "))),
    ),
    _entry(
        "D315", "null-removed", _BREAKING, "null is no longer allowed",
        ("Clients that send null get `INVALID_MESSAGE`. In an event it is safe.",
         _schema("{type: [string, 'null']}", "{type: string}")),
    ),
    _entry(
        "D316", "null-added", _BREAKING, "null is allowed now",
        ("Clients that receive the value do not expect it. For those who send it is safe.",
         _schema("{type: string}", "{type: [string, 'null']}")),
    ),
    _entry(
        "D317", "default-changed", _DANGEROUS, "the default of a field changed",
        ("The schema refuses nothing more and nothing less, but clients that leave the field out mean something else now.",
         _schema("{type: string, default: a}", "{type: string, default: b}")),
    ),
    _entry(
        "D399", "schema-undecided", _DANGEROUS, "schemas that can't be compared",
        ("Whether `not`, `if`, `contains` and a few others accept more or less than before can't be told from how they are "
         "written. If a frame is found that shows it, it is breaking, and the frame is shown.",
         _schema("{type: string, not: {maxLength: 3}}", "{type: string, not: {maxLength: 4}}")),
    ),
)  # fmt: skip
_ACCESS: Final = (
    _entry(
        "D401", "token-required", _BREAKING, "a token is required now",
        ("Clients that connect without one are closed with 4401.",
         _example("auth: none", "auth: session")),
    ),
    _entry(
        "D402", "authenticator-removed", _BREAKING, "an authenticator no longer opens a channel",
        ("Clients that have only its tokens are closed with 4401.",
         _example("auth: [session, other]", "auth: session",
                  _OLD.replace("auth: none", "auth: [session, other]").replace(
                      "chat.hooks:who}", "chat.hooks:who}\n  other: {type: hook, hook: chat.hooks:other}"))),
    ),
    _entry(
        "D403", "auth-tightened", _BREAKING, "more is asked of tokens or claims",
        ("Clients whose token does not have it are refused: another algorithm, issuer or audience, claims that a schema or "
         "`require` asks for, or an `exp`.",
         _example("    auth: session\n", "    auth: session\n    require: {role: admin}\n",
                  _OLD.replace("auth: none", "auth: session"))),
    ),
    _entry(
        "D404", "auth-relaxed", _SAFE, "less is asked of tokens or claims",
        ("No client minds, but somebody may come in now who could not before. It is marked as security, and "
         "`--fail-on security` lets it fail.",
         _example("auth: session", "auth: none", _OLD.replace("auth: none", "auth: session"))),
    ),
    _entry(
        "D405", "origin-removed", _BREAKING, "pages of an origin may no longer connect",
        ("Browsers with a page of that origin get HTTP 403.",
         _example("https://a.example, https://b.example", "https://a.example",
                  "server: {allowed_origins: [https://a.example, https://b.example]}\n" + _OLD)),
    ),
    _entry(
        "D406", "origin-added", _SAFE, "pages of another origin may connect",
        ("No client minds, but pages of that origin act with the cookies and rights of whoever looks at them. It is marked "
         "as security.",
         _example("[https://a.example]", "[https://a.example, https://b.example]",
                  "server: {allowed_origins: [https://a.example]}\n" + _OLD)),
    ),
    _entry(
        "D407", "token-place-changed", _BREAKING, "tokens are looked for elsewhere",
        ("Clients that put the token where nobody looks any more come without one. Another place to look is safe.",
         _example("audience: chat", "audience: chat, token_from: [header]", _JWT)),
    ),
    _entry(
        "D409", "subscribe-narrowed", _BREAKING, "rooms may no longer be subscribed to",
        ("Clients that subscribe to them get `FORBIDDEN`.",
         _example("[general, news]", "[general]",
                  _OLD.replace('rooms: "{params.id}"', "rooms: {join: '{params.id}', subscribe: {allow: [general, news]}}"))),
    ),
    _entry(
        "D410", "subscribe-widened", _SAFE, "more rooms may be subscribed to",
        ("No client minds, but frames of those rooms reach whoever asks. It is marked as security.",
         _example("[general]", "[general, news]",
                  _OLD.replace('rooms: "{params.id}"', "rooms: {join: '{params.id}', subscribe: {allow: [general]}}"))),
    ),
    _entry(
        "D411", "auth-order-changed", _DANGEROUS, "authenticators are asked in another order",
        ("The first that finds its token decides, so a client that sends two may be somebody else now.",
         _example("auth: [session, other]", "auth: [other, session]",
                  _OLD.replace("auth: none", "auth: [session, other]").replace(
                      "chat.hooks:who}", "chat.hooks:who}\n  other: {type: hook, hook: chat.hooks:other}"))),
    ),
    _entry(
        "D412", "user-changed", _DANGEROUS, "user ids are made of something else",
        ("The same person has another id: presence, frames to a user and limits per user see a stranger.",
         _example("audience: chat", 'audience: chat, user: "{claims.sub}-x"', _JWT)),
    ),
    _entry(
        "D413", "keys-changed", _DANGEROUS, "keys or tokens were replaced",
        ("What was signed with a key that is gone is refused, until everybody has a new token. Rotate with a list: the "
         "new secret first, the old one after it.",
         _example('secret: "${SECRET}"', "jwks: 'https://id.example/keys'", _JWT.replace("HS256", "RS256").replace(
             'secret: "${SECRET}"', "jwks: 'https://id.example/old'")).replace(
             'secret: "${SECRET}"', "jwks: 'https://id.example/keys'").replace(
             BECOMES, "\0", 1).replace("\0" + "\n", BECOMES + "\n").replace(
             BECOMES + "\n" + _JWT.replace("HS256", "RS256").replace('secret: "${SECRET}"', "jwks: 'https://id.example/old'"),
             BECOMES + "\n" + _JWT.replace("HS256", "RS256").replace('secret: "${SECRET}"', "jwks: 'https://id.example/keys'"))),
    ),
)  # fmt: skip
_LIMITS: Final = (
    _entry(
        "D501", "limit-lowered", _BREAKING, "a limit is lower",
        ("Clients that went up to the old one get `RATE_LIMITED`, `TOO_LARGE` or `LIMIT_EXCEEDED`, or are closed. Limits "
         "that only protect the server are dangerous at most.",
         _example("        route: room\n", "        route: room\n        rate: 1/s\n")),
    ),
    _entry(
        "D502", "keep-alive-shorter", _DANGEROUS, "the server waits less for a sign of life",
        ("Clients on a slow network may lose their connection.",
         _example("timeout: 20s", "timeout: 5s", "server: {ping: {timeout: 20s}}\n" + _OLD)),
    ),
    _entry(
        "D504", "history-shorter", _BREAKING, "less history is kept",
        ("Clients that come back after a while get `recovered: false` instead of what they missed.",
         _example("size: 100", "size: 10")),
    ),
    _entry(
        "D505", "presence-less", _BREAKING, "presence tells less, or otherwise",
        ("Clients that show who is there miss it.",
         _example("auth: session\n    presence: true", "auth: session",
                  _OLD.replace("auth: none", "auth: session\n    presence: true"))),
    ),
    _entry(
        "D507", "limit-raised", _SAFE, "a limit is higher",
        ("Every client of today stays under it.",
         _example("rate: 1/s", "rate: 2/s", _OLD.replace("route: room\n", "route: room\n        rate: 1/s\n"))),
    ),
    _entry(
        "D508", "history-longer", _SAFE, "more history is kept",
        ("Clients that come back get more of what they missed.",
         _example("size: 100", "size: 200")),
    ),
    _entry(
        "D509", "presence-more", _DANGEROUS, "presence tells more",
        ("Clients of today receive `presence` frames, and may not expect them.",
         _example("auth: session", "auth: session\n    presence: true", _OLD.replace("auth: none", "auth: session"))),
    ),
)  # fmt: skip
_BEHAVIOUR: Final = (
    _entry(
        "D601", "audience-changed", _DANGEROUS, "a message reaches others than before",
        ("Those who wait for it may wait in vain, and others get what they did not expect. Whether that hurts can't be told "
         "from here.",
         _example("        route: room\n", "        route: global\n")),
    ),
    _entry(
        "D603", "delivered-field-removed", _BREAKING, "a field that the server added is gone",
        ("Clients that read it find nothing.",
         _example("        stamp: {from: '{connection.id}', at: '{now}'}\n", "        stamp: {from: '{connection.id}'}\n",
                  _OLD.replace("        route: room\n", "        route: room\n        stamp: {from: '{connection.id}', at: '{now}'}\n"))),
    ),
    _entry(
        "D604", "delivered-field-added", _SAFE, "the server adds a field",
        ("Clients that don't know it pass it over.",
         _example("        route: room\n", "        route: room\n        stamp: {at: '{now}'}\n")),
    ),
    _entry(
        "D605", "delivered-field-changed", _DANGEROUS, "a field that the server adds is made of something else",
        ("It is breaking where its type is another one, or where it may be missing now.",
         _example("{at: '{now}'}", "{at: '{now_ms}'}",
                  _OLD.replace("        route: room\n", "        route: room\n        stamp: {at: '{now}'}\n"))),
    ),
    _entry(
        "D606", "joined-rooms-changed", _BREAKING, "clients are in other rooms from the start",
        ("They miss the frames of a room that they are no longer in. One room more brings frames that they don't expect, "
         "which is dangerous.",
         _example('rooms: "{params.id}"', 'rooms: "room-{params.id}"')),
    ),
    _entry(
        "D701", "hook-changed", _DANGEROUS, "another hook is called",
        ("A hook can refuse, change and send whatever it likes, and what a function does is not judged here. This is a "
         "reminder to look.",
         _example("        route: room\n", "        route: room\n        hook: chat.hooks:check\n")),
    ),
    _entry(
        "D702", "words-changed", _SAFE, "a description or an example changed",
        ("Nothing on the wire is other than before. Shown with `--all` only.",
         _example("    path: /rooms/{id}\n", "    path: /rooms/{id}\n    description: Talk.\n")),
    ),
    _entry(
        "D703", "accept-unused", _DANGEROUS, "an entry of diff.accept lets nothing pass",
        ("The change that it speaks of is not there: it was taken back, has long been released, or is called otherwise. An "
         "entry that stays would let the next such change pass without anybody looking.",
         _example("", "diff: {accept: [{code: D309, reason: Everybody knows.}]}\n")),
    ),
    _entry(
        "D704", "accept-over", _DANGEROUS, "an entry of diff.accept is over",
        ("Its `until` has passed, so the change counts again.",
         _example("        route: room\n", "        route: room\n        rate: 1/s\n").replace(
             BECOMES + "\n", BECOMES + "\ndiff: {accept: [{code: D501, reason: For now., until: 2020-01-01}]}\n")),
    ),
)  # fmt: skip
ENTRIES: tuple[Entry, ...] = (
    *_CHANNELS,
    *_TYPES,
    *_SCHEMAS,
    *_ACCESS,
    *_LIMITS,
    *_BEHAVIOUR,
)
