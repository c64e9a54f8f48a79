"""Whether any token satisfies an authenticator's `claims` schema together with what the server itself asks of tokens."""

from collections.abc import Sequence
from typing import Final

import attrs

from channeld.auth.authenticator import AskedClaim
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Severity
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at, tokens
from channeld.protocol.frames import Json
from channeld.schema.compare.emptiness import leaves_nothing
from channeld.schema.compare.normalize import form_of
from channeld.schema.compare.schema_ref import Book, Node, implied
from channeld.schema.schemas import Schemas

_ASKING: Final = frozenset({"user", "expiry", "issuer", "audience", "claims"})


def check_claims(
    name: str, asked: Sequence[AskedClaim], schemas: Schemas, templates: TemplateCompiler
) -> None:
    """CH447: a `claims` schema that refuses every token."""
    pointer = at("/auth", name, "claims")
    unknown = {
        tokens(one)[2] for one in templates.sources.unset if one.startswith(at("/auth", name, ""))
    }
    if unknown & _ASKING:
        return
    root, shape = schemas.root(pointer), schemas.shape(pointer)
    part = schemas.at(root) if root is not None else None
    if part is None:
        return
    whole = Node(Book(schemas), (part,))
    if leaves_nothing(Node(whole.book, (part, implied({"type": "object"}, "object")))):
        return
    for number, one in enumerate(asked):
        claim, is_needed = ".".join(one.path), one.is_required or shape.lookup(one.path).guaranteed
        if not _leaves_room(whole, one, f"asked-{number}", is_needed=is_needed):
            which = "no token" if is_needed else f"no token with `{claim}`"
            message = f"{which} can satisfy the `claims` of `{name}`: `{claim}` {one.words}"
            place = _place(pointer, one.path, templates)
            help = f"let the schema accept such a `{claim}`"
            if place == pointer:
                help = f"declare `{claim}` in its `properties`"
            found = diagnose("CH447", message, templates.sources.place(place), help=help)
            if is_needed:
                templates.report.add(found)
                return
            templates.report.add(attrs.evolve(found, severity=Severity.WARNING))
    names: list[Json] = [one.path[0] for one in asked if one.is_required]
    needed: Json = {"type": "object", "required": names, "minProperties": len({*map(str, names)})}
    if leaves_nothing(Node(whole.book, (part, implied(needed, "needed")))):
        listed = ", ".join(f"`{one}`" for one in names)
        message = f"no token can satisfy the `claims` of `{name}`: it has {listed}"
        templates.find("CH447", message, pointer, "let the schema accept these claims")


def _leaves_room(whole: Node, asked: AskedClaim, name: str, *, is_needed: bool) -> bool:
    node = whole
    for step in asked.path:
        node = form_of(node).child(step)
    # A claim that is not required may be forbidden.
    if not is_needed and leaves_nothing(node):
        return True
    return not leaves_nothing(Node(whole.book, (*node.parts, implied(asked.schema, name))))


def _place(pointer: str, path: tuple[str, ...], templates: TemplateCompiler) -> str:
    """Where the schema declares the claim; the whole schema if that is not under its own `properties`."""
    inner = pointer
    for step in path:
        inner = at(inner, "properties", step)
    return inner if templates.sources.written(inner) is not None else pointer
