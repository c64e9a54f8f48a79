"""`require`: which claims are compared with what, compiled once for a channel or a message."""

import json
from collections.abc import Iterable, Mapping

from channeld.diagnostics.catalogue import diagnose
from channeld.plan.plan import MISSING, Requirement, Scope, Template
from channeld.plan.template_scope import TemplateScope
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at
from channeld.protocol.frames import Frame, Json
from channeld.suggest import did_you_mean

__all__ = ["compile_requirements", "meets"]


def compile_requirements(
    require: Mapping[str, Json] | None,
    pointer: str,
    scope: TemplateScope,
    templates: TemplateCompiler,
) -> tuple[Requirement, ...]:
    """The requirements of a `require` mapping at `pointer`; what is wrong with its templates becomes findings.

    A scalar or a template is one wanted value; of a list any will do. A template that is MISSING is never met.
    """
    found: list[Requirement] = []
    for claim, wanted in (require or {}).items():
        place = at(pointer, claim)
        _note_impossible(claim, place, scope, templates)
        if isinstance(wanted, list):
            alternatives = [
                _wanted(value, at(place, i), scope, templates) for i, value in enumerate(wanted)
            ]
        else:
            alternatives = [_wanted(wanted, place, scope, templates)]
        any_of = tuple(template for template in alternatives if template is not None)
        found.append(Requirement(claim, any_of))
    return tuple(found)


def _note_impossible(
    claim: str, pointer: str, scope: TemplateScope, templates: TemplateCompiler
) -> None:
    """CH416: a claim that the `claims` schemas of all the authenticators leave no room for."""
    identity = scope.identity
    if identity is None or not identity.authenticators:
        return
    known = identity.claim((claim,))
    if known.possible:
        return
    help = did_you_mean(claim, known.names, "declare it in the authenticator's `claims` schema")
    finding = f"no token can have the claim `{claim}`"
    templates.report.add(
        diagnose("CH416", finding, templates.sources.place(pointer, key=True), help=help)
    )


def _wanted(
    value: Json, pointer: str, scope: TemplateScope, templates: TemplateCompiler
) -> Template | None:
    checked = templates.compile(value, pointer, scope)
    return checked.render if checked is not None else None


def meets(requirements: Iterable[Requirement], scope: Scope, frame: Frame | None = None) -> bool:
    """Whether claims satisfy every entry of a `require`; a message's templates also see the message."""
    message = {} if frame is None else frame
    return all(_met(requirement, scope, message) for requirement in requirements)


def _met(requirement: Requirement, scope: Scope, frame: Frame) -> bool:
    if requirement.claim not in scope.claims:
        return False
    claim = scope.claims[requirement.claim]
    wanted = [template(scope, frame) for template in requirement.any_of]
    if isinstance(claim, list):
        held = [_comparable(entry) for entry in claim]
    elif isinstance(claim, str):
        held = [_comparable(claim), *(_comparable(word) for word in claim.split())]
    else:
        held = [_comparable(claim)]
    return any(value is not MISSING and _comparable(value) in held for value in wanted)


def _comparable(value: object) -> str:
    # JSON equality: 1 is 1.0, but neither true nor "1".
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)
