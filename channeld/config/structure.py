"""Checks the merged value of a configuration against the language, and turns it into the model.

The checker produces a mapping in the model's form: short forms expanded, scalars parsed. cattrs structures it strictly:
nothing is coerced, no key is ignored. A failure there is a bug in the language's schema.
"""

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Final, Union, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.strategies import configure_tagged_union, configure_union_passthrough

from channeld.config.aliases import FOREIGN
from channeld.config.checker import INVALID, Checker
from channeld.config.language import LANGUAGE, Rule, joined
from channeld.config.model import Auth, Config, MessageRate, Rate, Secret
from channeld.config.normalizers import NORMALIZERS, NOTATIONS, beside
from channeld.config.source import Sources
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Report, Severity
from channeld.pointer import at
from channeld.protocol.frames import CheckedJson, Json

VERSION: Final = 1
_VERSION_KEYS: Final = frozenset({"version", "chaneld", "channelds", "channel_d", "channled"})
_MAX_FILE = 1024 * 1024
_TOKEN_LIST: Rule = next(
    branch["properties"]["tokens"]["anyOf"][0]
    for branch in LANGUAGE["properties"]["auth"]["additionalProperties"]["anyOf"]
    if "tokens" in branch["properties"]
)


def structure(
    sources: Sources,
    report: Report,
    *,
    missing_is_error: bool = False,
) -> Config | None:
    """The model of a configuration, as far as it can be understood; None if the file is not a mapping or has another version.

    Every mistake is reported (CH101 to CH110, CH118 to CH124, CH601, CH605) and removes the smallest affected part: a key, a
    message, a channel. `missing_is_error`: whether an absent secrets file is an error (to run) or a warning (to validate).
    """
    value = sources.value
    if not sources.readable or (value is None and "" in sources.unset):
        return None
    if not isinstance(value, dict):
        help = f"a configuration starts with `channeld: {VERSION}`"
        if isinstance(value, str) and "=" in value:
            help += ": a `:` and a space are between a key and its value"
        place = sources.place("")
        report.add(diagnose("CH105", "the file must hold a mapping", place, help=help))
        return None
    if not _is_our_version(value, sources, report) or _is_unindented(value, sources, report):
        return None
    checker = Checker(
        place=lambda pointer, key: sources.place(pointer, key=key),
        report=report,
        files=_Files(sources=sources, missing_is_error=missing_is_error),
        notations=NOTATIONS,
        normalizers=NORMALIZERS,
        silent=frozenset(sources.unset),
        is_hidden=sources.from_environment.__contains__,
        authenticators=_authenticators(value.get("auth")),
    )
    named = _VERSION_KEYS if "channeld" not in value else {"channeld"}
    rest: Json = {key: part for key, part in value.items() if key not in named}
    clean = cast("dict[str, CheckedJson]", checker.check(rest, LANGUAGE, ""))
    sources.refused |= checker.refused
    clean.pop("include", None)
    for name, channel in clean.get("channels", {}).items():
        channel["name"] = name
    clean.setdefault("hooks", {}).setdefault("path", beside(".", sources.root))
    return make_model(clean)


def _authenticators(value: Json) -> list[str]:
    named = value if isinstance(value, dict) else {}
    return [name for name, entry in named.items() if isinstance(entry, dict)]


def _is_our_version(value: Mapping[str, Json], sources: Sources, report: Report) -> bool:
    """Whether the rest of the file is worth checking."""
    help = f"write `channeld: {VERSION}`"
    if "channeld" not in value:
        return _without_version(value, sources, report)
    written = value["channeld"]
    if written == VERSION and type(written) is int:
        return True
    is_newer = type(written) is int and written > VERSION
    message = f"this channeld understands version {VERSION} of the language"
    if is_newer:
        help = f"upgrade channeld, or {help}"
    elif isinstance(written, dict):
        message = "`channeld` takes the version of the language; got a mapping"
        help = f"{help}, and everything else next to it at the left margin"
    report.add(diagnose("CH102", message, sources.place("/channeld"), help=help))
    return not is_newer and not isinstance(written, dict)


def _without_version(value: Mapping[str, Json], sources: Sources, report: Report) -> bool:
    """Report CH101; returns whether the file may be a configuration at all."""
    foreign = next((key for key in FOREIGN if key in value), None)
    key = next((key for key in value if key in _VERSION_KEYS), next(iter(value), ""))
    message = "the file does not say which language version it uses"
    help = f"write `channeld: {VERSION}` on the first line"
    if foreign is not None:
        key = foreign
        message = f"this is {FOREIGN[foreign]}, not a channeld configuration"
        help = "name the configuration's file, or write `channeld init DIR` for a new one"
        if foreign == "asyncapi":
            help = "`channeld init --from FILE DIR` makes a configuration of it"
    elif key in _VERSION_KEYS:
        help = f"write `channeld: {VERSION}` in place of `{key}`"
    report.add(diagnose("CH101", message, sources.place(at("", key), key=True), help=help))
    return foreign is None


def _is_unindented(value: Mapping[str, Json], sources: Sources, report: Report) -> bool:
    """Report channels that are next to an empty `channels:` instead of below it."""
    beside = [k for k, held in value.items() if isinstance(held, dict) and "path" in held]
    if "channels" not in value or value["channels"] is not None or not beside:
        return False
    listed = joined([f"`{key}`" for key in beside], "and")
    message = f"`channels` is empty, and {listed} not under it"
    help = f"indent {listed} by two spaces"
    report.add(diagnose("CH110", message, sources.place("/channels", key=True), help=help))
    return True


@attrs.frozen(slots=True, kw_only=True, eq=False)
class _Files:
    """The files that values name, each read once."""

    sources: Sources
    missing_is_error: bool

    def text(self, checker: Checker, path: str, pointer: str, *, may_be_absent: bool) -> object:
        try:
            data = self.sources.read(path)
        except (OSError, ValueError) as problem:  # ValueError: a path that no file system can have
            reason = getattr(problem, "strerror", None) or "it cannot be read"
            return self._unreadable(checker, path, pointer, reason, may_be_absent)
        if len(data) > _MAX_FILE:
            return self._unreadable(checker, path, pointer, "it is over 1 MiB", False)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return self._unreadable(checker, path, pointer, "it is not UTF-8 text", False)

    def tokens(self, checker: Checker, path: str, pointer: str) -> object:
        tree = self.sources.read_document(path)
        reason = self.sources.unreadable.get(path)
        if reason is not None:
            self._unreadable(checker, path, pointer, reason, may_be_absent=True)
            return []
        if tree is None:
            return []
        inner = attrs.evolve(
            checker,
            place=lambda below, key: tree.key_place(below) if key else tree.place(below),
            silent=tree.unknown,
            is_hidden=lambda below: True,
        )
        found = inner.check(tree.value, _TOKEN_LIST, "")
        return [] if found is INVALID else found

    def _unreadable(
        self, checker: Checker, path: str, pointer: str, reason: str, may_be_absent: bool
    ) -> object:
        message = f"`{path}` cannot be used: {reason}"
        help = f"the path is relative to the file that names it, `{checker.place(pointer, False).file}`"
        finding = diagnose("CH124", message, checker.place(pointer, False), help=help)
        if may_be_absent and not self.missing_is_error:
            finding = attrs.evolve(finding, severity=Severity.WARNING)
        checker.report.add(finding)
        return INVALID


def make_model(clean: Mapping[str, object]) -> Config:
    """Structure a `Config` from a mapping in the model's form.

    Raises:
        cattrs.BaseValidationError: the mapping does not have that form, which the checker prevents.
    """
    return _CONVERTER.structure(clean, Config)


def _exactly(*kinds: type) -> Callable[[object, object], object]:
    def check(value: object, _: object) -> object:
        if type(value) not in kinds:
            raise TypeError(f"expected {kinds[0].__name__}, got {type(value).__name__}")
        return value

    return check


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise TypeError(f"expected float, got {type(value).__name__}")
    return float(value)


def _is_json(annotation: object) -> bool:
    """Whether a field's type is the recursive `Json`."""
    is_union = get_origin(annotation) in (Union, UnionType)
    return is_union and any(get_origin(part) is dict for part in get_args(annotation))


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    # Rates and secrets are already structured; cattrs would convert their scalars.
    for kind in (bool, int, str, MessageRate, Rate, Secret):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, lambda value, _: _float(value))
    converter.register_structure_hook_func(_is_json, lambda value, _: value)
    configure_tagged_union(
        Auth,
        converter,
        tag_name="type",
        tag_generator=lambda cls: cls.__name__.removesuffix("Auth").lower(),
    )
    # `same-origin` or a list, `memory` or a mapping: words pass as they are, the rest is structured.
    configure_union_passthrough(str | None, converter)
    return converter


_CONVERTER: Final = _converter()
