"""The language's notations and short forms: `x-kind` → how a value is read, and the form that the model takes.

`NOTATIONS` read a scalar (a duration, an address, a path). `NORMALIZERS` expand a value whose parts are checked: `rooms:
"{params.x}"` as `{join: [...]}`, `auth: none` as no names, a secret as a `Secret`.
"""

import datetime as dt
import hashlib
import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Final, cast

from channeld.config import scalars
from channeld.config.checker import INVALID, Checker, Normalizer, Notation, is_off
from channeld.config.language import Rule, names_place
from channeld.config.model import MessageRate, Rate, Secret
from channeld.config.scalars import BadScalar, UnixAddress
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.suggest import closest

_TOKEN_SOURCES: Final = ("query", "header", "subprotocol", "message")
_PERCENTAGE = re.compile(r"(100|[0-9]{1,2})%", re.ASCII)
# As in a request line: no query, nothing that has to be percent-encoded.
_HEALTH = re.compile(r"/(?:[-A-Za-z0-9._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_SHA256 = re.compile(r"sha256:([0-9a-fA-F]{64})")


def beside(path: str, file: str) -> str:
    """Resolve a path relative to the folder of the file that names it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), path))


def _bad(
    checker: Checker, code: str, value: Json, problem: BadScalar, pointer: str, help: str = ""
) -> object:
    write = problem.write if "," in problem.write else f"`{problem.write}`"
    return checker.refuse(code, value, problem.why, pointer, help or f"write {write}")


def _duration_help(value: Json, rule: Rule, problem: BadScalar) -> str:
    """Help for a duration: a bare number may be in the units that the rule's range allows."""
    if type(value) is not int:
        usual = rule.get("examples", [rule.get("default", "10s")])[0]
        return f"write a duration such as `{usual}`" if "," in problem.write else ""
    fitting = [text for text in (f"{value}s", f"{value}ms") if _is_duration(text, rule)]
    if len(fitting) == 2 and value >= 1000:
        return f"write `{fitting[0]}`, or `{scalars.format_duration(value / 1000)}` if it is in milliseconds"
    if fitting and value >= 1000:
        fitting = [scalars.format_duration(value / 1000)]
    return f"write `{fitting[0]}`" if fitting else ""


def _is_duration(text: str, rule: Rule) -> bool:
    parsed = scalars.parse_duration(text)
    return not isinstance(parsed, BadScalar) and not any(
        _between(scalars.parse_duration)(parsed, rule)
    )


def _scalar(
    code: str,
    parse: Callable[[Json], object],
    range_of: Callable[[object, Rule], tuple[str, str]],
) -> Notation:
    def notation(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
        if isinstance(value, list | dict):
            return checker.wrong_type(value, rule, pointer)
        parsed = parse(value)
        if isinstance(parsed, BadScalar):
            help = _duration_help(value, rule, parsed) if code == "CH107" else ""
            if is_off(value, rule):
                help = f"remove it, or {help or f'write {parsed.write}'}"
            return _bad(checker, code, value, parsed, pointer, help)
        ends = range_of(parsed, rule)
        return checker.out_of_range(value, pointer, *ends) if any(ends) else parsed

    return notation


def _between(
    parse: Callable[[Json], float | BadScalar],
) -> Callable[[object, Rule], tuple[str, str]]:
    """Describes a rule's range if a value is outside of it, else empty."""

    def ends(parsed: object, rule: Rule) -> tuple[str, str]:
        value = cast("float", parsed)
        least, most = rule.get("x-minimum", ""), rule.get("x-maximum", "")
        too_little = least and value < cast("float", parse(least))
        too_much = most and value > cast("float", parse(most))
        return (least, most) if too_little or too_much else ("", "")

    return ends


def _above_zero(parsed: object, rule: Rule) -> tuple[str, str]:
    return ("", "") if cast("Rate", parsed).limit > 0 else ("1/h", "")


_rate_text = _scalar("CH109", scalars.parse_rate, _above_zero)


def _rate(made: type[Rate]) -> Notation:
    """A rate as text, or a mapping with it as its `limit`."""

    def notation(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
        if isinstance(value, dict):
            parts = checker.check_form(value, rule, pointer)
        else:
            parts = {"limit": _rate_text(checker, value, rule, pointer)}
        if not isinstance(parts, dict) or parts["limit"] is INVALID:
            return INVALID
        limit: Rate = parts.pop("limit")
        return made(limit=limit.limit, period=limit.period, **{"burst": limit.limit, **parts})

    return notation


def _address(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if isinstance(value, list | dict):
        return checker.wrong_type(value, rule, pointer)
    parsed = scalars.parse_address(value)
    if isinstance(parsed, BadScalar):
        help = "write an address such as `127.0.0.1:4001`" if value == "systemd" else ""
        return _bad(checker, "CH119", value, parsed, pointer, help)
    if isinstance(parsed, UnixAddress):
        parsed = UnixAddress(beside(parsed.path, checker.place(pointer, False).file))
    return scalars.format_address(parsed)


def _listen(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    return value if value == "systemd" else _address(checker, value, rule, pointer)


def _network(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if not isinstance(value, str) or is_off(value, rule):
        return checker.wrong_type(value, rule, pointer)
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        help = "write an address such as `127.0.0.1`, or `10.0.0.0/8`"
        return checker.refuse("CH119", value, "is not an address or a network", pointer, help)


def _path(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if not isinstance(value, str) or not value or "\0" in value:
        return checker.wrong_type(value, rule, pointer)
    return beside(value, checker.place(pointer, False).file)


def _call(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if not isinstance(value, str) or is_off(value, rule):
        return checker.wrong_type(value, rule, pointer)
    if re.search(rule["pattern"], value) and not value.endswith("\n"):
        return value
    guess = re.sub(r"\(.*\)$|\.py(?=:|$)", "", value.strip()).replace("/", ".").replace("::", ":")
    if ":" not in guess:
        guess = ":".join(guess.rsplit(".", 1))
    help = f"write `{guess}`" if re.search(rule["pattern"], guess) else "write `module:function`"
    if re.match(r"https?://", value):
        help = "name the URL under `backends`, and write `{backend: NAME, path: /…}`"
    elif path := re.fullmatch(r"([A-Za-z][\w-]*)?:?(/(?:[\w-]+/?)+)", value):
        help += f", or `{{backend: {path[1] or 'NAME'}, path: {path[2]}}}` for one over HTTP"
    return checker.refuse("CH120", value, "is not `module:function`", pointer, help)


def _token_source(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if not isinstance(value, str):
        return checker.wrong_type(value, rule, pointer)
    if re.search(rule["pattern"], value) and not value.endswith("\n") and "${" not in value:
        return value
    legal = ", ".join(f"`{name}`" for name in (*_TOKEN_SOURCES, "query:NAME", "cookie:NAME"))
    meant = closest(value, _TOKEN_SOURCES)
    help = f"did you mean `{meant}`?" if meant else f"write one of {legal}"
    if value.partition(":")[0] == "cookie":
        help = "write `cookie:` and the cookie's name"
    return checker.refuse("CH106", value, "is not a valid token source", pointer, help)


def _percentage(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        share = f"{value if isinstance(value, int) else value * 100:.0f}%"
        help = f"write `{share}`" if _PERCENTAGE.fullmatch(share) else "write a share such as `20%`"
        return checker.refuse("CH120", value, "is not a share such as `20%`", pointer, help)
    if not isinstance(value, str):
        return checker.wrong_type(value, rule, pointer)
    match = _PERCENTAGE.fullmatch(value)
    if match is not None:
        return int(match[1]) / 100
    words = "is not a percentage from 0% to 100%"
    return checker.refuse("CH120", value, words, pointer, "write a share such as `20%`")


def _day(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if not isinstance(value, str):
        return checker.wrong_type(value, rule, pointer)
    try:
        dt.date.fromisoformat(value if re.fullmatch(rule["pattern"], value) else "")
    except ValueError:
        message = f"{checker.quote(value, pointer)} is not a day such as `2027-06-30`"
        checker.find("CH120", message, pointer, "write a day such as `2027-06-30`")
        return INVALID
    return value


def _health(checker: Checker, value: Json, rule: Rule, pointer: str) -> object:
    if not isinstance(value, str):
        return checker.wrong_type(value, rule, pointer)
    if value == "none":
        return None
    if _HEALTH.fullmatch(value):
        return value
    help = "write a path such as `/health`, or `none`"
    return checker.refuse("CH120", value, "is not a path", pointer, help)


NOTATIONS: Final[Mapping[str, Notation]] = {
    "duration": _scalar("CH107", scalars.parse_duration, _between(scalars.parse_duration)),
    "size": _scalar("CH108", scalars.parse_size, _between(scalars.parse_size)),
    "rate_text": _rate_text,
    "rate": _rate(Rate),
    "message_rate": _rate(MessageRate),
    "address": _address,
    "listen": _listen,
    "network": _network,
    "path": _path,
    "call": _call,
    "token_source": _token_source,
    "percentage": _percentage,
    "day": _day,
    "health": _health,
}


def _list(checker: Checker, value: object, pointer: str) -> object:
    return value if isinstance(value, list) else [value]


def _hook(checker: Checker, value: object, pointer: str) -> object:
    if not isinstance(value, dict):
        return {"call": value}
    if "backend" in value:
        return {**value, "call": f"{value['backend']}{value['path']}"}
    return value


def _lifespan(checker: Checker, value: object, pointer: str) -> object:
    return [_hook(checker, one, pointer) for one in (value if isinstance(value, list) else [value])]


def _file_text(checker: Checker, value: object, pointer: str) -> object:
    if not isinstance(value, dict):
        return value
    return checker.files.text(checker, value["file"], at(pointer, "file"), may_be_absent=False)


def _tls(checker: Checker, value: object, pointer: str) -> object:
    """As it is, with CH124 for a file that can't be read; the server reads them when it starts."""
    for key, path in cast("dict[str, str]", value).items():
        checker.files.text(checker, path, at(pointer, key), may_be_absent=True)
    return value


def _secret(checker: Checker, value: object, pointer: str) -> object:
    if not isinstance(value, dict):
        return Secret(text=str(value), inline=not checker.is_hidden(pointer))
    below = at(pointer, "file")
    text = checker.files.text(checker, value["file"], below, may_be_absent=True)
    return Secret(text=text.rstrip("\r\n")) if isinstance(text, str) else INVALID


def _secrets(checker: Checker, value: object, pointer: str) -> object:
    if isinstance(value, list):
        return value
    secret = _secret(checker, value, pointer)
    return [] if secret is INVALID else [secret]


def _as(key: str) -> Normalizer:
    """A short form: the value of one key in place of the mapping."""
    return lambda checker, value, pointer: value if isinstance(value, dict) else {key: value}


def _switch(checker: Checker, value: object, pointer: str) -> object:
    """`true` for a mapping with every default, `false` for none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


def _token_entry(checker: Checker, value: object, pointer: str) -> object:
    entry = dict(cast("dict[str, object]", value))
    token = cast("Secret", entry["token"])
    if not token.text.startswith("sha256:"):
        return entry
    match = _SHA256.fullmatch(token.text)
    if match is None:
        message = "a token that starts with `sha256:` goes on with 64 hex digits"
        example = hashlib.sha256(b"").hexdigest()[:8]
        checker.find("CH120", message, at(pointer, "token"), f"write `sha256:{example}…`, in full")
        return INVALID
    del entry["token"]
    return {**entry, "sha256": match[1].lower()}


def _tokens(checker: Checker, value: object, pointer: str) -> object:
    if isinstance(value, list):
        return value
    path = cast("dict[str, str]", value)["file"]
    return checker.files.tokens(checker, path, at(pointer, "file"))


def _authenticator(checker: Checker, value: object, pointer: str) -> object:
    entry = dict(cast("dict[str, object]", value))
    if "secret" in entry:
        entry["secrets"] = entry.pop("secret")
    return entry


def _channel_auth(checker: Checker, value: object, pointer: str) -> object:
    match value:
        case "none":
            return {"names": []}
        case str():
            return {"names": [value]}
        case list():
            return {"names": value}
        case _:
            entry = cast("dict[str, object]", value)
            return {"names": entry["use"], "optional": entry.get("optional", False)}


def _backend(checker: Checker, value: object, pointer: str) -> object:
    entry = dict(cast("dict[str, object]", value))
    entry["secrets"] = entry.pop("secret")
    headers = cast("list[str]", entry.get("headers", []))
    entry["headers"] = [name.lower() for name in headers]
    return entry


def _rooms(checker: Checker, value: object, pointer: str) -> object:
    return value if isinstance(value, dict) else {"join": _list(checker, value, pointer)}


def _subscribe(checker: Checker, value: object, pointer: str) -> object:
    entry = cast("dict[str, object]", value)
    names = {"allow", "hook"}
    if entry.keys() & names or checker.refused & {at(pointer, name) for name in names}:
        return value
    message = f"{names_place(pointer)} has neither `allow` nor `hook`, so it admits nobody"
    help = 'add `allow: ["*"]` for any room, patterns such as `topic-*`, or a `hook`'
    checker.find("CH104", message, pointer, help, key=True)
    return INVALID


def _clears(checker: Checker, value: object, pointer: str) -> object:
    if isinstance(value, dict):
        return {"on_leave": True}
    return {"types": _list(checker, value, pointer)}


def _route(checker: Checker, value: object, pointer: str) -> object:
    targets = value if isinstance(value, list) else [value]
    return [target if isinstance(target, dict) else {"to": target} for target in targets]


def _broker(checker: Checker, value: object, pointer: str) -> object:
    if not isinstance(value, dict):
        return value
    redis = dict(cast("dict[str, object]", value["redis"]))
    if "url" in redis:
        redis["urls"] = [redis.pop("url")]
    return redis


NORMALIZERS: Final[Mapping[str, Normalizer]] = {
    "list": _list,
    "backend": _backend,
    "hook": _hook,
    "lifespan": _lifespan,
    "file_text": _file_text,
    "tls": _tls,
    "secret": _secret,
    "secrets": _secrets,
    "drain": _as("over"),
    "jwks": _as("url"),
    "token_entry": _token_entry,
    "tokens": _tokens,
    "authenticator": _authenticator,
    "channel_auth": _channel_auth,
    "rooms": _rooms,
    "presence": _switch,
    "deprecated": _switch,
    "subscribe": _subscribe,
    "clears": _clears,
    "route": _route,
    "broker": _broker,
}
