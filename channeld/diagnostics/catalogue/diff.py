"""D1xx to D7xx: what `channeld diff` tells. An error is breaking at worst, a warning dangerous, an info safe."""

from typing import Final

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

_BREAKING, _DANGEROUS, _SAFE = Severity.ERROR, Severity.WARNING, Severity.INFO


def _row(code: str, name: str, severity: Severity, title: str, text: str, *diff: str) -> Entry:
    """An entry whose example is a change: lines that start with `-` and `+`."""
    shown = "\n".join(diff)
    return Entry(code, name, severity, title, f"{text}\n\n```diff\n{shown}\n```" if diff else text)


_PATHS: Final = (
    _row(
        "D101", "channel-removed", _BREAKING, "a channel is gone",
        "Clients that connect to its path get HTTP 404. Keep it until nobody uses it; the metrics tell how many "
        "connections it has.",
        "-  lobby: {path: /chat, auth: none, rooms: lobby}",
    ),
    _row(
        "D102", "path-changed", _BREAKING, "a channel has another path",
        "Clients have the old path built in and get HTTP 404. Offer the new path as another channel, and remove the old one "
        "later. A path that matches all the old URLs and more is safe.",
        "-    path: /rooms/{id}", "+    path: /r/{id}",
    ),
    _row(
        "D103", "channel-added", _SAFE, "a channel is new",
        "No client of today connects to it.",
        "+  lobby: {path: /chat, auth: none, rooms: lobby}",
    ),
    _row(
        "D104", "path-taken-over", _BREAKING, "URLs of one channel lead to another",
        "A literal segment beats a param, so a new path can take URLs away from a channel that had them. Clients that use "
        "them get into the wrong channel.",
        "     path: /rooms/{id}", "+  news: {path: /rooms/news, auth: none, events: {}}",
    ),
    _row(
        "D105", "param-narrowed", _BREAKING, "a param of a path allows less",
        "Clients with a value that is no longer allowed get HTTP 404.",
        '-      id: {type: string, maxLength: 64}', '+      id: {type: string, maxLength: 20}',
    ),
    _row(
        "D106", "param-widened", _SAFE, "a param of a path allows more",
        "Every URL of today still works.",
        '-      id: {type: string, maxLength: 20}', '+      id: {type: string, maxLength: 64}',
    ),
    _row(
        "D107", "param-renamed", _SAFE, "a param of a path has another name",
        "The name of a param is not on the wire. Hooks and templates that use it have to change with it.",
        "-    path: /rooms/{id}", "+    path: /rooms/{room}",
    ),
    _row(
        "D108", "channel-renamed", _DANGEROUS, "a channel has another name",
        "Clients know its path only, and that is the same. But whoever publishes to it through the control API names it, and "
        "so do dashboards.",
        "-  room: {path: /rooms/{id}, …}", "+  chat: {path: /rooms/{id}, …}",
    ),
)  # fmt: skip
_TYPES: Final = (
    _row(
        "D201", "type-removed", _BREAKING, "a message or an event is gone",
        "Clients that send the message get `UNKNOWN_TYPE`; clients that wait for the event wait for ever. Mark a message as "
        "`deprecated` first, and remove it when the metrics show that nobody sends it.",
        "-      typing: {schema: true, route: room}",
    ),
    _row(
        "D202", "type-added", _DANGEROUS, "a message or an event is new",
        "To be able to send something more hurts nobody. But clients of today that *receive* a type that they don't know may "
        "fail over it, so a new event is dangerous, and so is a message that is routed to others.",
        "     events:", "+      invoice_paid: {schema: {type: object}}",
    ),
    _row(
        "D203", "type-renamed", _BREAKING, "a type has another name",
        "For clients of today the old type is gone. Offer both for a while.",
        "-      say: {schema: schemas/say.json, route: room}", "+      speak: {schema: schemas/say.json, route: room}",
    ),
    _row(
        "D204", "direction-changed", _BREAKING, "a type goes the other way",
        "What clients sent they can't send any more, or the other way round.",
        "     messages:", "-      tick: {schema: true, route: room}", "     events:", "+      tick: {schema: true}",
    ),
    _row(
        "D205", "events-declared", _SAFE, "only declared events are published now",
        "Nothing comes that did not come before.",
        "+    events:", "+      news: {schema: {type: object}}",
    ),
    _row(
        "D206", "events-undeclared", _DANGEROUS, "events need not be declared any more",
        "Clients may get types that nobody told them of.",
        "-    events:", "-      news: {schema: {type: object}}",
    ),
    _row(
        "D207", "message-deprecated", _SAFE, "a message is deprecated now",
        "It works as before. Exports mark it, so that whoever uses it learns of it.",
        "+        deprecated: true",
    ),
)  # fmt: skip
_SCHEMAS: Final = (
    _row(
        "D301", "required-added", _BREAKING, "a field is required now",
        "Clients of today that leave it out get `INVALID_MESSAGE`. Make it optional, and let a hook fill it in. In an event "
        "it is safe: clients get more than they were promised.",
        "-          required: [text]", "+          required: [text, language]",
    ),
    _row(
        "D302", "required-removed", _BREAKING, "a field may be missing now",
        "Clients that receive it count on the field. For those who send it is safe.",
        "-          required: [invoice, amount]", "+          required: [invoice]",
    ),
    _row(
        "D303", "property-removed", _BREAKING, "a field is gone",
        "Where the object takes no other fields, clients that send it are refused; elsewhere what they send is no longer "
        "looked at, which is dangerous. Clients that receive the object miss the field.",
        "-            colour: {type: string}",
    ),
    _row(
        "D304", "property-added", _SAFE, "an optional field is new",
        "Clients of today don't send it. It is dangerous where the object took other fields before, since somebody may have "
        "sent one of that name, and for receivers that refuse fields that they don't know.",
        "+            colour: {type: string}",
    ),
    _row(
        "D305", "type-narrowed", _BREAKING, "a value has fewer types or forms",
        "Clients that send one of the others get `INVALID_MESSAGE`. In an event it is safe.",
        "-            amount: {type: [number, string]}", "+            amount: {type: number}",
    ),
    _row(
        "D306", "type-widened", _BREAKING, "a value has more types or forms",
        "Clients that receive it do not expect them. For those who send it is safe.",
        "-            amount: {type: number}", "+            amount: {type: [number, string]}",
    ),
    _row(
        "D307", "type-changed", _BREAKING, "a value has another type",
        "Nobody who sends it or receives it is right any more. Add another field instead.",
        "-            amount: {type: number}", "+            amount: {type: string}",
    ),
    _row(
        "D308", "enum-value-removed", _BREAKING, "a value is no longer allowed",
        "Clients that send it get `INVALID_MESSAGE`. In an event it is safe.",
        "-            level: {enum: [info, warning, alarm]}", "+            level: {enum: [info, warning]}",
    ),
    _row(
        "D309", "enum-value-added", _BREAKING, "another value is allowed",
        "Clients that receive it may have no case for it. With `x-extensible-enum: true` in the schema, which tells them to "
        "expect more, it is dangerous only. For those who send it is safe.",
        "-            level: {enum: [info, warning]}", "+            level: {enum: [info, warning, alarm]}",
    ),
    _row(
        "D310", "bound-tightened", _BREAKING, "a limit in a schema is tighter",
        "Clients that send what is now beyond it get `INVALID_MESSAGE`. In an event it is safe.",
        "-            text: {type: string, maxLength: 2000}", "+            text: {type: string, maxLength: 1000}",
    ),
    _row(
        "D311", "bound-loosened", _BREAKING, "a limit in a schema is looser",
        "Clients that receive the value may count on the old limit. For those who send it is safe; where a message is passed "
        "on to others as it is, it is dangerous.",
        "-            text: {type: string, maxLength: 1000}", "+            text: {type: string, maxLength: 2000}",
    ),
    _row(
        "D312", "text-form-changed", _BREAKING, "a pattern or a format changed",
        "A new one refuses what clients send today. Whether another one does can't be told from the patterns, so that is "
        "dangerous, and breaking if a frame is found that shows it. For receivers it is never more than dangerous.",
        '+            colour: {type: string, pattern: "^#[0-9a-f]{6}$"}',
    ),
    _row(
        "D313", "object-closed", _BREAKING, "no other fields are allowed now",
        "Clients that send fields that the schema does not name get `INVALID_MESSAGE`. In an event it is safe.",
        "+          additionalProperties: false",
    ),
    _row(
        "D314", "object-opened", _SAFE, "other fields are allowed now",
        "Clients that send gain; those who receive may refuse fields that they don't know, so there it is dangerous.",
        "-          additionalProperties: false",
    ),
    _row(
        "D315", "null-removed", _BREAKING, "null is no longer allowed",
        "Clients that send null get `INVALID_MESSAGE`. In an event it is safe.",
        "-            colour: {type: [string, 'null']}", "+            colour: {type: string}",
    ),
    _row(
        "D316", "null-added", _BREAKING, "null is allowed now",
        "Clients that receive the value do not expect it. For those who send it is safe.",
        "-            colour: {type: string}", "+            colour: {type: [string, 'null']}",
    ),
    _row(
        "D317", "default-changed", _DANGEROUS, "the default of a field changed",
        "The schema refuses nothing more and nothing less, but clients that leave the field out mean something else now.",
        "-            level: {enum: [info, warning], default: info}", "+            level: {enum: [info, warning], default: warning}",
    ),
    _row(
        "D399", "schema-undecided", _DANGEROUS, "schemas that can't be compared",
        "Whether `not`, `if`, `contains` and a few others accept more or less than before can't be told from how they are "
        "written. If a frame is found that shows it, the change is breaking, and the frame is shown.",
        "-            text: {type: string, not: {const: stop}}", "+            text: {type: string, not: {pattern: stop}}",
    ),
)  # fmt: skip
_ACCESS: Final = (
    _row(
        "D401", "token-required", _BREAKING, "a token is required now",
        "Clients that connect without one are closed with 4401.",
        "-    auth: none", "+    auth: session",
    ),
    _row(
        "D402", "authenticator-removed", _BREAKING, "an authenticator no longer opens a channel",
        "Clients that have only its tokens are closed with 4401.",
        "-    auth: [session, partners]", "+    auth: session",
    ),
    _row(
        "D403", "auth-tightened", _BREAKING, "more is asked of tokens or claims",
        "Clients whose token does not have it are refused: another algorithm, issuer or audience, claims that a schema or "
        "`require` asks for, or an `exp`.",
        "+    require: {role: admin}",
    ),
    _row(
        "D404", "auth-relaxed", _SAFE, "less is asked of tokens or claims",
        "No client minds, but somebody may come in now who could not before. It is marked as security, and `--fail-on "
        "security` lets it fail.",
        "-    auth: session", "+    auth: none",
    ),
    _row(
        "D405", "origin-removed", _BREAKING, "pages of an origin may no longer connect",
        "Browsers with a page of that origin get HTTP 403.",
        "-  allowed_origins: [https://chat.example.com, https://old.example.com]", "+  allowed_origins: [https://chat.example.com]",
    ),
    _row(
        "D406", "origin-added", _SAFE, "pages of another origin may connect",
        "No client minds, but pages of that origin act with the cookies and rights of whoever looks at them. It is marked as "
        "security.",
        "-  allowed_origins: [https://chat.example.com]", "+  allowed_origins: any",
    ),
    _row(
        "D407", "token-place-changed", _BREAKING, "tokens are looked for elsewhere",
        "Clients that put the token where nobody looks any more come without one. Another place to look is safe.",
        "-    token_from: [query, header]", "+    token_from: [header]",
    ),
    _row(
        "D409", "subscribe-narrowed", _BREAKING, "rooms may no longer be subscribed to",
        "Clients that subscribe to them get `FORBIDDEN`.",
        '-      subscribe: {allow: [general, "topic-*"]}', "+      subscribe: {allow: [general]}",
    ),
    _row(
        "D410", "subscribe-widened", _SAFE, "more rooms may be subscribed to",
        "No client minds, but frames of those rooms reach whoever asks. It is marked as security.",
        "-      subscribe: {allow: [general]}", '+      subscribe: {allow: [general, "topic-*"]}',
    ),
    _row(
        "D411", "auth-order-changed", _DANGEROUS, "authenticators are asked in another order",
        "The first that finds its token decides, so a client that sends two may be somebody else now.",
        "-    auth: [session, partners]", "+    auth: [partners, session]",
    ),
    _row(
        "D412", "user-changed", _DANGEROUS, "user ids are made of something else",
        "The same person has another id: presence, frames to a user and limits per user see a stranger.",
        '-    user: "{claims.sub}"', '+    user: "{claims.email}"',
    ),
    _row(
        "D413", "keys-changed", _DANGEROUS, "keys or tokens were replaced",
        "What was signed with a key that is gone is refused, until everybody has a new token. Rotate with a list: the new "
        "secret first, the old one after it. Keys that come from the environment are not compared.",
        "-    jwks: https://id.example.com/keys", "+    jwks: https://login.example.com/keys",
    ),
)  # fmt: skip
_LIMITS: Final = (
    _row(
        "D501", "limit-lowered", _BREAKING, "a limit is lower",
        "Clients that went up to the old one get `RATE_LIMITED`, `TOO_LARGE` or `LIMIT_EXCEEDED`, or are closed. Limits that "
        "only protect the server are dangerous at most.",
        "-        rate: 10/s", "+        rate: 5/s",
    ),
    _row(
        "D502", "keep-alive-shorter", _DANGEROUS, "the server waits less for a sign of life",
        "Clients on a slow network may lose their connection.",
        "-  ping: {interval: 25s, timeout: 20s}", "+  ping: {interval: 25s, timeout: 5s}",
    ),
    _row(
        "D504", "history-shorter", _BREAKING, "less history is kept",
        "Clients that come back after a while get `recovered: false` instead of what they missed.",
        "-    history: {size: 100, ttl: 1h}", "+    history: {size: 20, ttl: 1h}",
    ),
    _row(
        "D505", "presence-less", _BREAKING, "presence tells less, or otherwise",
        "Clients that show who is there miss it.",
        "-    presence: true",
    ),
    _row(
        "D507", "limit-raised", _SAFE, "a limit is higher",
        "Every client of today stays under it.",
        "-        rate: 5/s", "+        rate: 10/s",
    ),
    _row(
        "D508", "history-longer", _SAFE, "more history is kept",
        "Clients that come back get more of what they missed.",
        "-    history: {size: 20, ttl: 1h}", "+    history: {size: 100, ttl: 1h}",
    ),
    _row(
        "D509", "presence-more", _DANGEROUS, "presence tells more",
        "Clients of today receive `presence` frames, and may not expect them.",
        "+    presence: true",
    ),
)  # fmt: skip
_BEHAVIOUR: Final = (
    _row(
        "D601", "audience-changed", _DANGEROUS, "a message reaches others than before",
        "Those who wait for it may wait in vain, and others get what they did not expect. Whether that hurts can't be told "
        "from here.",
        "-        route: room", "+        route: global",
    ),
    _row(
        "D603", "delivered-field-removed", _BREAKING, "a field that the server added is gone",
        "Clients that read it find nothing.",
        '-        stamp: {from: "{user.id}", at: "{now}"}', '+        stamp: {from: "{user.id}"}',
    ),
    _row(
        "D604", "delivered-field-added", _SAFE, "the server adds a field",
        "Clients that don't know it pass it over.",
        '-        stamp: {from: "{user.id}"}', '+        stamp: {from: "{user.id}", at: "{now}"}',
    ),
    _row(
        "D605", "delivered-field-changed", _DANGEROUS, "a field that the server adds is made of something else",
        "It is breaking where its type is another one, or where it may be missing now.",
        '-        stamp: {at: "{now}"}', '+        stamp: {at: "{now_ms}"}',
    ),
    _row(
        "D606", "joined-rooms-changed", _BREAKING, "clients are in other rooms from the start",
        "They miss the frames of a room that they are no longer in. One room more brings frames that they don't expect, which "
        "is dangerous.",
        '-    rooms: {join: ["{params.id}", news]}', '+    rooms: {join: ["{params.id}"]}',
    ),
    _row(
        "D701", "hook-changed", _DANGEROUS, "another hook is called",
        "A hook can refuse, change and send whatever it likes, and what a function does is not judged here. This is a "
        "reminder to look.",
        "+        hook: chat.hooks:no_shouting",
    ),
    _row(
        "D702", "words-changed", _SAFE, "a description or an example changed",
        "Nothing on the wire is other than before. Shown with `--all` only.",
        "+        description: What somebody says to the room.",
    ),
    _row(
        "D703", "accept-unused", _DANGEROUS, "an entry of diff.accept lets nothing pass",
        "The change that it speaks of is not there: it was taken back, has long been released, or is called otherwise. An "
        "entry that stays would let the next such change pass without anybody looking.",
        "+diff: {accept: [{code: D309, reason: All clients take any level.}]}",
    ),
    _row(
        "D704", "accept-over", _DANGEROUS, "an entry of diff.accept is over",
        "Its `until` has passed, so the change counts again.",
        "+diff: {accept: [{code: D501, reason: For the move., until: 2020-01-31}]}",
    ),
)  # fmt: skip
ENTRIES: tuple[Entry, ...] = (
    *_PATHS,
    *_TYPES,
    *_SCHEMAS,
    *_ACCESS,
    *_LIMITS,
    *_BEHAVIOUR,
)
