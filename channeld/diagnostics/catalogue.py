"""The catalogue of codes: one Markdown file per code in `codes/`, read when the code is first used.

CH0xx YAML, CH1xx structure, CH2xx schemas, CH3xx paths, routes and templates, CH4xx authentication and security, CH5xx
hooks, CH6xx limits, history and presence, CH7xx deployment and style, CH8xx scenario files; D1xx to D7xx the changes
that `channeld diff` reports. `channeld explain`, the reference page, SARIF rules and the tests of all examples use these
files. `codes/README.md` describes their format.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place, Related, Severity

_FOLDER: Final = Path(__file__).parent / "codes"
_HEAD: Final = re.compile(
    r"# (?P<code>[A-Z]+\d{3}): (?P<title>.+)\n\n(?P<severity>[a-z]+), `(?P<name>[a-z0-9-]+)`\n\n"
)
_EXAMPLE: Final = re.compile(
    r"\n(?P<kind>Wrong|Right):\n\n```yaml\n(?P<text>.*?)^```\n", re.DOTALL | re.MULTILINE
)


@attrs.frozen(slots=True)
class CatalogueEntry:
    """A code and its explanation. Codes are never reused.

    `name` is kebab case. `title` is the headline, lower case, without a full stop. `explanation` is Markdown: why it
    matters and what to do. `wrong` and `right` are small whole configurations (or the part named in the first comment
    line); a test checks that `wrong` gives the code and `right` gives nothing.
    """

    code: str
    name: str
    severity: Severity
    title: str
    explanation: str
    wrong: str = ""
    right: str = ""


class _Catalogue(Mapping[str, CatalogueEntry]):
    """The files as a mapping from code to entry, in the order of the codes. Each file is read at most once."""

    def __getitem__(self, code: str) -> CatalogueEntry:
        if code not in _codes():
            raise KeyError(code)
        return _read(code)

    def __contains__(self, code: object) -> bool:
        return code in _codes()

    def __iter__(self) -> Iterator[str]:
        return iter(_codes())

    def __len__(self) -> int:
        return len(_codes())


@cache
def _codes() -> dict[str, None]:
    """The known codes, from the file names alone."""
    return dict.fromkeys(sorted(path.stem for path in _FOLDER.glob("*[0-9].md")))


@cache
def _read(code: str) -> CatalogueEntry:
    text = (_FOLDER / f"{code}.md").read_text(encoding="utf-8")
    head = _HEAD.match(text)
    if head is None or head["code"] != code:
        raise ValueError(f"{code}.md does not start as codes/README.md describes")
    examples = {found["kind"]: found["text"] for found in _EXAMPLE.finditer(text, head.end() - 1)}
    return CatalogueEntry(
        code=code,
        name=head["name"],
        severity=Severity(head["severity"]),
        title=head["title"],
        explanation=_EXAMPLE.sub("", text[head.end() - 1 :]).strip(),
        wrong=examples.get("Wrong", ""),
        right=examples.get("Right", ""),
    )


CATALOGUE: Final[Mapping[str, CatalogueEntry]] = _Catalogue()


def diagnose(
    code: str,
    message: str,
    place: Place,
    *,
    help: str = "",
    label: str = "",
    related: tuple[Related, ...] = (),
) -> Diagnostic:
    """Make a diagnostic with its code's severity.

    `message` is the headline of this case (by default the title), `label` the text under the caret, `help` what to write
    instead.
    """
    return Diagnostic(
        code=code,
        severity=CATALOGUE[code].severity,
        message=message,
        place=place,
        help=help,
        label=label,
        related=related,
    )
