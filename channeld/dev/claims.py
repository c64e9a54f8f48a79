"""Claims for development: generated to satisfy an authenticator's schema and a `require`, or read from a token."""

import base64
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

import orjson

from channeld.plan.claim_paths import parse_claim_path
from channeld.plan.expressions import Literal, TemplateSyntaxError
from channeld.plan.plan import AuthPlan, Plan
from channeld.plan.requires import with_type_spoken_of
from channeld.protocol.frames import Json
from channeld.schema.sample import sample
from channeld.schema.violations import Validator


def claims_in(token: str) -> dict[str, Json]:
    """The claims of a JWT, with any signature or none; empty for any other token."""
    parts = token.split(".")
    if len(parts) == 3:
        with suppress(ValueError):
            found = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            if isinstance(found, dict):
                return found
    return {}


def likely_claims(validator: Validator | None, user: str) -> dict[str, Json]:
    """Generated claims that an authenticator's `claims` schema accepts; empty without a schema."""
    claims = sample(validator.schema, user.capitalize()) if validator is not None else {}
    return dict(claims) if isinstance(claims, dict) else {}


def claims_meeting(
    plan: Plan,
    auth: AuthPlan,
    requires: Sequence[Sequence[Mapping[str, Json]]],
    *,
    user: str,
    params: Mapping[str, Json],
) -> dict[str, Json]:
    """Claims that follow `auth` and probably meet the first alternative of each `require`; later ones win.

    `user` and `params` fill in templates.
    """
    validator = auth.compiled.claims
    claims = likely_claims(validator, user)
    known = {"user.id": user, **{f"params.{name}": value for name, value in params.items()}}
    for require in requires:
        for key, wanted in (require[0] if require else {}).items():
            value = _value(wanted, known, plan)
            path = [_filled(step, known) for step in _steps(key)]
            single = _with(claims, path, value)
            listed = _with(claims, path, [value])
            # If its schema says list, the claim contains the value as an element.
            takes_list = validator is not None and _accepts(validator, listed, user)
            takes_value = validator is None or _accepts(validator, single, user)
            claims = listed if takes_list and not takes_value else single
    return claims


def _accepts(validator: Validator, claims: Mapping[str, Json], user: str) -> bool:
    return validator.accepts({"sub": user, "exp": 4_102_444_800, **claims})


def _steps(key: str) -> list[str]:
    mistakes: list[TemplateSyntaxError] = []
    written = parse_claim_path(key, "", mistakes)
    return [
        str(step.value) if isinstance(step, Literal) else f"{{{key.rpartition('{')[2]}"
        for step in written
    ]


def _value(wanted: Json, known: Mapping[str, Json], plan: Plan) -> Json:
    if isinstance(wanted, list):
        return _value(wanted[0], known, plan) if wanted else None
    if isinstance(wanted, dict):
        return sample(with_type_spoken_of(wanted), "text", plan.config.schemas)
    return _filled(wanted, known) if isinstance(wanted, str) else wanted


def _filled(text: str, known: Mapping[str, Json]) -> Json:
    whole = re.fullmatch(r"\{([\w.]+)\}", text)
    if whole is not None and whole[1] in known:
        return known[whole[1]]
    return re.sub(r"\{([\w.]+)\}", lambda found: str(known.get(found[1], found[0])), text)


def _with(claims: Mapping[str, Json], path: Sequence[Json], value: Json) -> dict[str, Json]:
    name, rest = str(path[0]), path[1:]
    if not rest:
        return {**claims, name: value}
    inner = claims.get(name)
    return {**claims, name: _with(inner if isinstance(inner, dict) else {}, rest, value)}
