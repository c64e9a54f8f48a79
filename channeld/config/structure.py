"""The merged value of a configuration, checked against the language and made into the model."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import attrs

from channeld.config.assembly import make_model
from channeld.config.checker import INVALID, Checker
from channeld.config.language import LANGUAGE, Rule
from channeld.config.model import Config
from channeld.config.normalizers import FINISHES, NOTATIONS, beside
from channeld.config.source import Sources
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Report, Severity
from channeld.pointer import at
from channeld.protocol.frames import Json

__all__ = ["VERSION", "structure"]

VERSION: Final = 1
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
    read: Callable[[str], bytes],
    missing_is_error: bool = False,
) -> Config | None:
    """What a configuration says, as far as it can be understood.

    Every mistake goes to `report` and takes out the smallest part that it spoils: a key, a message, a channel.

    Args:
        sources: what `read_sources` gave.
        report: takes CH101 to CH110, CH118 to CH124, CH601 and CH605.
        read: gives the bytes of a file that a value names; may raise OSError.
        missing_is_error: whether an absent file of secrets is an error (to run) or a warning (to validate).

    Returns:
        The model; None where the file is no mapping, or is for another version of the language.
    """
    value = sources.value
    if not sources.readable or (value is None and "" in sources.unset):
        return None
    if not isinstance(value, dict):
        help = "a configuration starts with `channeld: 1`"
        place = sources.place("")
        report.add(diagnose("CH105", "the file must hold a mapping", place, help=help))
        return None
    if not _is_our_version(value, sources, report):
        return None
    walk = Checker(
        place=lambda pointer, key: sources.place(pointer, key=key),
        report=report,
        files=_Files(sources=sources, read=read, missing_is_error=missing_is_error),
        notations=NOTATIONS,
        finishes=FINISHES,
        silent=frozenset(sources.unset),
        is_hidden=sources.from_environment.__contains__,
    )
    rest: Json = {key: part for key, part in value.items() if key != "channeld"}
    clean = cast("dict[str, Any]", walk.check(rest, LANGUAGE, ""))
    clean.pop("include", None)
    for name, channel in clean.get("channels", {}).items():
        channel["name"] = name
    clean.setdefault("hooks", {}).setdefault("path", beside(".", sources.root))
    return make_model(clean)


def _is_our_version(value: Mapping[str, Json], sources: Sources, report: Report) -> bool:
    """Whether the rest of the file is worth checking."""
    help = f"write `channeld: {VERSION}`"
    if "channeld" not in value:
        message = "the file does not say which version of the language it is written in"
        first = sources.place(at("", next(iter(value), "")), key=True)
        report.add(diagnose("CH101", message, first, help=f"{help} on the first line"))
        return True
    written = value["channeld"]
    if written == VERSION and type(written) is int:
        return True
    newer = type(written) is int and written > VERSION
    message = f"this channeld understands version {VERSION} of the language"
    if newer:
        help = f"upgrade channeld, or {help}"
    report.add(diagnose("CH102", message, sources.place("/channeld"), help=help))
    return not newer


@attrs.frozen(slots=True, kw_only=True, eq=False)
class _Files:
    """The files that values name, read once each."""

    sources: Sources
    read: Callable[[str], bytes]
    missing_is_error: bool

    def text(self, walk: Checker, path: str, pointer: str, *, may_be_absent: bool) -> object:
        try:
            data = self.read(path)
        except (OSError, ValueError) as problem:  # ValueError: a path that no file system can have
            reason = getattr(problem, "strerror", None) or "it cannot be read"
            return self._unreadable(walk, path, pointer, reason, may_be_absent)
        if len(data) > _MAX_FILE:
            return self._unreadable(walk, path, pointer, "it is over 1 MiB", False)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return self._unreadable(walk, path, pointer, "it is not UTF-8 text", False)

    def tokens(self, walk: Checker, path: str, pointer: str) -> object:
        tree = self.sources.read_document(path)
        reason = self.sources.unreadable.get(path)
        if reason is not None:
            self._unreadable(walk, path, pointer, reason, may_be_absent=True)
            return []
        if tree is None:
            return []
        inner = attrs.evolve(
            walk,
            place=lambda below, key: tree.key_place(below) if key else tree.place(below),
            silent=tree.unknown,
            is_hidden=lambda below: True,
        )
        found = inner.check(tree.value, _TOKEN_LIST, "")
        return [] if found is INVALID else found

    def _unreadable(
        self, walk: Checker, path: str, pointer: str, reason: str, may_be_absent: bool
    ) -> object:
        message = f"`{path}` cannot be used: {reason}"
        help = (
            f"the path is relative to the file that names it, `{walk.place(pointer, False).file}`"
        )
        finding = diagnose("CH124", message, walk.place(pointer, False), help=help)
        if may_be_absent and not self.missing_is_error:
            finding = attrs.evolve(finding, severity=Severity.WARNING)
        walk.report.add(finding)
        return INVALID
