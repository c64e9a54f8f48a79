"""What a template may refer to in its place, and what is known of each value: its types, and whether it always exists.

`TemplateScope` describes one place of the configuration; `resolve` looks one expression up in it. A value is guaranteed if
nothing at run time can leave it out: a message property that the schema requires all the way down, a param of the path, a
claim that every authenticator of the channel guarantees.
"""

from collections.abc import Callable, Mapping

import attrs

from channeld.plan.expressions import Expression, spelled
from channeld.plan.identity import Identity
from channeld.schema.cases import ALL
from channeld.schema.guarantees import Lookup, Shape
from channeld.suggest import did_you_mean, folded

SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})
TEXT = frozenset({"string"})
NUMBER = frozenset({"integer", "number"})


@attrs.frozen(slots=True)
class Resolved:
    """What an expression yields: its possible JSON types; `maybe`: it may be missing."""

    types: frozenset[str]
    maybe: bool = False


@attrs.frozen(slots=True)
class TemplateError:
    """Why an expression is invalid here: code, headline, label under the caret, and what to write instead."""

    code: str
    message: str
    label: str = ""
    help: str = ""


@attrs.frozen(slots=True, kw_only=True)
class TemplateScope:
    """What one place offers. `place` is its name in the language, such as `rooms.join`.

    `message` is None if there is no message; `params` maps the path's params to their types; `room` is True if there always
    is a room, False if there may be none, None if `room` has no meaning here.
    """

    place: str
    message: Shape | None = None
    message_type: str = ""
    params: Mapping[str, frozenset[str]] | None = None
    identity: Identity | None = None
    user: bool = True
    room: bool | None = None
    moment: bool = True
    is_event: bool = False
    query: Mapping[str, Resolved] | None = None

    def roots(self) -> list[str]:
        """The roots that an expression may have here."""
        offered = {
            "message": self.message is not None and not self.is_event,
            "event": self.message is not None and self.is_event,
            "params": self.params is not None,
            "query": bool(self.query),
            "user": self.user and self.identity is not None,
            "claims": self.identity is not None,
            "connection": self.moment,
            "room": self.room is not None,
            "now": self.moment,
            "now_ms": self.moment,
            "uuid": self.moment,
        }
        return [root for root, here in offered.items() if here]


EACH_PLACES = ("rooms.join", "rooms.subscribe.allow")
"""Where `*` may stand for each element of a list."""


def resolve(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    """What an expression yields in a place, or why it is invalid there."""
    root = expression.root
    if root not in _RESOLVERS:
        known = ", ".join(f"`{name}`" for name in scope.roots()) or "none"
        meant = _spelled_here(expression, scope)
        help = f"here a template may start with {known}"
        help = f"write `{{{meant}}}`" if meant else did_you_mean(root, scope.roots(), help)
        help = help or "`{{` writes a literal brace"
        return TemplateError("CH319", f"templates have no `{root}`", help=help)
    if root not in scope.roots():
        offered = ", ".join(f"`{name}`" for name in scope.roots())
        help = f"use {offered}" if offered else "write the value itself"
        if root == "query" and scope.query is not None and expression.path:
            help = f"add `query: {{{expression.path[0]}: {{type: string}}}}` to the channel"
        return TemplateError("CH320", f"`{root}` can't be used in `{scope.place}`", help=help)
    if "*" in expression.path:
        return _each_claim(expression, scope)
    return _RESOLVERS[root](expression, scope)


def _spelled_here(expression: Expression, scope: TemplateScope) -> str | None:
    """The correct form of another tool's expression, or of one that lacks its root; None if unknown."""
    root, offered = expression.root, scope.roots()
    optional = "?" if expression.optional else ""
    message = "event" if scope.is_event else "message"
    if scope.params and root in scope.params:
        return f"params.{root}{optional}"
    if scope.message is not None and scope.message.lookup((root,)).declared:
        return f"{message}.{expression.source}{optional}"
    if scope.identity is not None and scope.identity.claim((root,)).guaranteed:
        return f"claims.{expression.source}{optional}"
    name = folded(root.removesuffix("()"))
    for meant, words in _ELSEWHERE.items():
        if name in words and meant.partition(".")[0] in offered:
            return f"{meant}{optional}"
    held = next((holder for holder, words in _HOLDERS.items() if name in words), "")
    held = message if held == "message" else held
    if held not in offered or not expression.path:
        return None
    return f"{spelled((held, *expression.path))}{optional}"


_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "now": (
        *("now", "timestamp", "time", "date", "datetime", "utcnow", "today", "iso", "iso8601"),
        *("created_at", "sent_at", "at"),
    ),
    "now_ms": ("ts", "epoch", "unix", "millis", "epoch_ms", "timestamp_ms"),
    "user.id": (
        *("user_id", "userid", "uid", "username", "sender", "sender_id", "author", "from", "me"),
        *("current_user", "identity", "client"),
    ),
    "claims.sub": ("sub", "subject"),
    "connection.id": ("connection_id", "conn_id", "socket_id", "sid", "client_id", "session_id"),
    "uuid": ("id", "uuid4", "guid", "ulid", "message_id", "random"),
    "room": ("room_id", "room_name", "channel", "topic", "channel_name"),
}
"""The names of other tools for what a template may hold."""

_HOLDERS: Mapping[str, tuple[str, ...]] = {
    "message": ("payload", "data", "msg", "body", "frame", "event", "content", "fields"),
    "params": ("param", "path", "url"),
    "claims": ("claim", "token", "jwt", "auth", "session", "context"),
    "query": ("args", "querystring", "query_string", "search"),
    "user": ("current_user", "sender", "author"),
}


def _unknown(label: str, help: str) -> TemplateError:
    return TemplateError("CH309", "template names an unknown field", label, help)


def _unsure(label: str, help: str) -> TemplateError:
    return TemplateError("CH310", "template field is not guaranteed", label, help)


def _message(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    if not expression.path:
        return _whole(expression, expression.root, "text")
    if expression.path == ("type",):
        return Resolved(TEXT)
    found = _message_shape(scope).lookup(expression.path)
    if found.guaranteed:
        return Resolved(found.types or ALL)
    if expression.optional and (found.possible or not found.known):
        return Resolved((found.types if found.known else ALL) or ALL, maybe=True)
    if not found.known:
        label = f"the schema can't be analysed as far as `{_dotted(expression)}`"
        return _unsure(label, f"write `{{{expression.source}?}}`")
    return _missing_field(expression, scope, found)


def _message_shape(scope: TemplateScope) -> Shape:
    return scope.message or Shape(True)


def _missing_field(expression: Expression, scope: TemplateScope, found: Lookup) -> TemplateError:
    if found.declared and found.possible:
        return _not_required(expression, scope, found.missing or expression.path[-1])
    dotted = _dotted(expression)
    otherwise = f"declare `{dotted}` in the schema"
    if found.possible:
        otherwise += f", or write `{{{expression.source}?}}`"
    help = did_you_mean(found.missing or expression.path[-1], found.names, otherwise)
    return _unknown(f"`{scope.message_type}` has no `{dotted}`", help)


def _not_required(expression: Expression, scope: TemplateScope, missing: str) -> TemplateError:
    above = expression.path[: expression.path.index(missing)] if missing in expression.path else ()
    optional = f"or write `{{{expression.source}?}}`"
    holder = ".".join(above)
    if above and _message_shape(scope).lookup(above).types != {"object"}:
        label = f"`{holder}` need not be an object"
        help = f"give `{holder}` `type: object` in the schema, {optional}"
    elif above:
        label = f"`{missing}` is not in the `required` of `{holder}`"
        help = f"add `required: [{missing}]` to the schema of `{holder}`, {optional}"
    else:
        label = f"`{missing}` is not in the schema's `required`"
        help = f"add `required: [{missing}]` to the schema, {optional}"
    return _unsure(label, help)


def _params(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    params = {} if scope.params is None else scope.params
    if not expression.path:
        return _whole(expression, "params", next(iter(params), "room_id"))
    name, *deeper = expression.path
    if name not in params:
        known = ", ".join(f"`{{{param}}}`" for param in params)
        otherwise = f"the path has {known}" if known else f"write `{{{name}}}` as a segment of it"
        help = did_you_mean(name, params, otherwise)
        return TemplateError("CH302", f"the path has no `{{{name}}}`", help=help)
    if deeper:
        return _unknown(f"`params.{name}` is not an object", f"write `{{params.{name}}}`")
    return Resolved(params[name])


def _query(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    declared = scope.query or {}
    if not expression.path:
        return _whole(expression, "query", next(iter(declared), "view"))
    name, *deeper = expression.path
    if name not in declared or deeper:
        label = f"`query.{name}` is not an object" if deeper else f"`query` declares no `{name}`"
        known = f"write one of {', '.join(f'`{{query.{one}}}`' for one in declared)}"
        return _unknown(label, did_you_mean(name, declared, known))
    found = declared[name]
    if found.maybe and not expression.optional:
        help = f"give its schema a `default`, or write `{{{expression.source}?}}`"
        return _unsure(f"a URL may leave `{name}` out", help)
    return found


def _user(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    if expression.path != ("id",):
        # A claim, with or without the root `claims`.
        steps = expression.path[1:] if expression.path[:1] == ("claims",) else expression.path
        claim = f", or `{{claims.{'.'.join(steps)}}}`" if steps else ""
        return _unknown("a user has only an `id`", f"write `{{user.id}}`{claim}")
    return _of_identity(expression, scope, Resolved(TEXT))


def _claims(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    identity = scope.identity or Identity()
    if not expression.path:
        return _whole(expression, "claims", "sub")
    claim = identity.claim(expression.path)
    dotted = _dotted(expression)
    if claim.guaranteed or expression.optional:
        types = claim.types or ALL
        return _of_identity(expression, scope, Resolved(types, maybe=not claim.guaranteed))
    if not identity.certain and scope.user:
        return _of_identity(expression, scope, Resolved(ALL))
    where = " and ".join(f"`{name}`" for name in claim.lacking) or "the authenticator"
    schema = f"`required: [{expression.path[-1]}]` to the `claims` schema of {where}"
    help = f"add {schema}, or write `{{{expression.source}?}}`"
    others = [name for name in claim.names if name != dotted]
    label = f"no `claims` schema of {where} guarantees `{dotted}`"
    return _unsure(label, did_you_mean(dotted, others, help))


def _each_claim(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    """`{claims.teams.*}`: a room for each element of a list."""
    whole = attrs.evolve(expression, path=expression.path[: expression.path.index("*")])
    if scope.place not in EACH_PLACES or expression.root != "claims":
        places = " and ".join(f"`{place}`" for place in EACH_PLACES)
        message = f"`*` can't be used in `{scope.place}`"
        help = f"only {places} take one room for each element; name `{{{whole.source}}}` itself"
        return TemplateError("CH320", message, help=help)
    if not expression.is_each:
        help = f"write `{{{whole.source}.*}}`: each element is the name of a room"
        return TemplateError("CH320", "nothing can follow `*`", help=help)
    found = _claims(whole, scope) if whole.path else _whole(expression, "claims", "teams.*")
    if isinstance(found, TemplateError):
        help = found.help.replace(f"{{{whole.source}?}}", f"{{{expression.source}?}}")
        return attrs.evolve(found, help=help)
    if "array" not in found.types:
        label = f"`{_dotted(whole)}` is not a list"
        help = f"write `{{{whole.source}}}`, or give it `type: array` in the `claims` schema"
        return TemplateError("CH311", "`*` needs a list", label, help)
    # There may be no element, or several.
    return Resolved(TEXT, maybe=True)


def _of_identity(
    expression: Expression, scope: TemplateScope, found: Resolved
) -> Resolved | TemplateError:
    identity = scope.identity or Identity()
    if identity.certain:
        return found
    if expression.optional:
        return Resolved(found.types, maybe=True)
    anonymous = "may be" if identity.authenticators else "are"
    remedy = "drop `optional: true`" if identity.authenticators else "give the channel an `auth`"
    return TemplateError(
        "CH332",
        f"`{{{expression.source}}}` needs a user",
        f"connections of this channel {anonymous} anonymous",
        f"{remedy}, or write `{{{expression.source}?}}`",
    )


def _connection(expression: Expression, _reach: TemplateScope) -> Resolved | TemplateError:
    if expression.path == ("id",):
        return Resolved(TEXT)
    return _unknown("a connection has only an `id`", "write `{connection.id}`")


def _room(expression: Expression, scope: TemplateScope) -> Resolved | TemplateError:
    if expression.path:
        return _no_fields(expression)
    if scope.room or expression.optional:
        return Resolved(TEXT, maybe=not scope.room)
    return TemplateError(
        "CH326",
        "there may be no room here",
        "not every target is a room, and the channel has not one `join` room",
        "route to a room, join one room on connect, or write `{room?}`",
    )


def _moment(expression: Expression, _reach: TemplateScope) -> Resolved | TemplateError:
    if expression.path:
        return _no_fields(expression)
    return Resolved(NUMBER if expression.root == "now_ms" else TEXT)


def _no_fields(expression: Expression) -> TemplateError:
    return _unknown(f"`{expression.root}` has no fields", f"write `{{{expression.root}}}`")


def _whole(expression: Expression, root: str, example: str) -> TemplateError:
    label = f"`{expression.root}` is not a value by itself"
    return _unknown(label, f"name a field of it, such as `{{{root}.{example}}}`")


def _dotted(expression: Expression) -> str:
    return spelled(expression.path)


_RESOLVERS: Mapping[str, Callable[[Expression, TemplateScope], Resolved | TemplateError]] = {
    "message": _message,
    "event": _message,
    "params": _params,
    "query": _query,
    "user": _user,
    "claims": _claims,
    "connection": _connection,
    "room": _room,
    "now": _moment,
    "now_ms": _moment,
    "uuid": _moment,
}
