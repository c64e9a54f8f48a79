"""Findings as text: golden cases, and what they can't show."""

from pathlib import Path

import attrs
import pytest

from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Diagnostic, Place, Related, Report, Severity
from channeld.diagnostics.render import render_one, render_text

CASES = Path(__file__).parent.parent / "cases"


@attrs.frozen
class Texts:
    _texts: dict[str, str]

    @property
    def files(self) -> list[str]:
        return list(self._texts)

    def text(self, file: str) -> str | None:
        return self._texts.get(file)


def finding(place: Place, **more: str) -> Diagnostic:
    return Diagnostic(
        code="CH310",
        severity=Severity.ERROR,
        message=more.get("message", "template field is not guaranteed"),
        place=place,
        label=more.get("label", ""),
        help=more.get("help", ""),
    )


@pytest.mark.parametrize("case", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_a_golden_case(case: Path) -> None:
    text, expected = case.read_bytes().decode().split("----------\n", 1)
    report = Report()
    parse(text, "channels.yaml", report)

    shown = render_text(report, Texts({"channels.yaml": text}), colour=False)

    assert shown == expected


def test_the_shape_that_the_documentation_shows() -> None:
    lines = [
        "",
        "      whisper:",
        "        schema: {type: object, properties: {to: {type: string}}}",
        '        route: {to: user, user: "{message.to}"}',
    ]
    diagnostic = finding(
        Place("channels.yaml", 31, 34, 31, 46),
        label="`to` is not in the schema's `required`",
        help="add `required: [to]` to the schema, or write `{message.to?}`",
    )
    text = "\n" * 27 + "\n".join(lines)

    assert render_one(diagnostic, Texts({"channels.yaml": text})) == (
        "error[CH310] template field is not guaranteed\n"
        "  channels.yaml:31:34\n"
        "   |\n"
        "29 |       whisper:\n"
        "30 |         schema: {type: object, properties: {to: {type: string}}}\n"
        '31 |         route: {to: user, user: "{message.to}"}\n'
        "   |                                  ^^^^^^^^^^^^ `to` is not in the schema's `required`\n"
        "   = help: add `required: [to]` to the schema, or write `{message.to?}`\n"
    )


def test_a_related_place_in_another_file_is_a_second_frame_with_one_gutter() -> None:
    diagnostic = attrs.evolve(
        finding(Place("a.yaml", 1, 1, 1, 2)),
        related=(Related(place=Place("b.yaml", 12, 3, 12, 4), message="first defined here"),),
    )
    texts = Texts({"a.yaml": "x: 1", "b.yaml": "\n" * 11 + "  x: 2\n"})

    assert render_one(diagnostic, texts).splitlines()[2:] == [
        "   |",
        " 1 | x: 1",
        "   | ^",
        "  ::: b.yaml:12:3",
        "   |",
        "12 |   x: 2",
        "   |   - first defined here",
    ]


def test_without_the_text_the_label_and_the_other_places_are_still_told() -> None:
    diagnostic = attrs.evolve(
        finding(Place("a.yaml", 1, 1, 1, 2), label="why", help="one\ntwo"),
        related=(Related(place=Place("b.yaml", 12, 3, 12, 4), message="first defined here"),),
    )

    assert render_one(diagnostic, Texts({})).splitlines()[1:] == [
        "  a.yaml:1:1",
        "   = note: why",
        "  ::: b.yaml:12:3 first defined here",
        "   = help: one",
        "           two",
    ]


def test_colours_only_surround_what_is_shown_without_them() -> None:
    report = Report()
    report.add(finding(Place("a.yaml", 1, 1, 1, 2), label="why", help="so"))
    texts = Texts({"a.yaml": "x: 1"})

    coloured = render_text(report, texts, colour=True)

    assert coloured.startswith("\x1b[1;31merror[CH310]\x1b[0m \x1b[1mtemplate")
    for code in ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == render_text(report, texts, colour=False)


def test_findings_come_in_the_order_of_the_files() -> None:
    report = Report()
    for file, line in (("b.yaml", 1), ("a.yaml", 2), ("a.yaml", 1)):
        report.add(finding(Place(file, line, 1, line, 1)))

    shown = render_text(report, Texts({}), colour=False)

    assert [line.strip() for line in shown.splitlines() if ":1" in line] == [
        "a.yaml:1:1",
        "a.yaml:2:1",
        "b.yaml:1:1",
    ]
    assert shown.endswith("\n\n3 errors in 2 files\n")


def test_nothing_that_a_file_says_steers_the_terminal() -> None:
    place = Place("a\x1b.yaml", 1, 1, 1, 2)
    diagnostic = finding(place, message="bad \x1b[31m\u202e", label="\x07", help="\x9b")

    shown = render_one(diagnostic, Texts({"a\x1b.yaml": "x\x1b]0;\x07 \u2066"}))

    assert not set(shown) & set("\x1b\x07\x9b\u202e\u2066")


def test_a_clean_report_is_one_line() -> None:
    assert render_text(Report(), Texts({"a.yaml": ""}), colour=False) == "no problems in a.yaml\n"
