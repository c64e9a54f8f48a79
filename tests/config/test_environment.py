"""References to environment variables."""

from collections.abc import Mapping

import attrs
import pytest

from channeld.config.environment import Environment
from channeld.config.tree import ScalarNode
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Diagnostic, Report, Severity
from channeld.protocol.frames import Json

VARIABLES = {"N": "3", "HOST": "example.com", "EMPTY": "", "ON": "true", "INF": ".inf"}


@attrs.frozen
class Outcome:
    value: Json
    environment: Environment
    found: list[Diagnostic]


def replaced(
    text: str, variables: Mapping[str, str] = VARIABLES, *, missing_is_error: bool = False
) -> Outcome:
    report = Report()
    tree = parse(f"a: {text}", "c.yaml", report)
    assert tree is not None
    environment = Environment(variables=variables, report=report, missing_is_error=missing_is_error)
    node = tree.node("/a")
    assert isinstance(node, ScalarNode)
    return Outcome(environment.value(tree, node, "/a"), environment, list(report))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${N}", 3),
        ("'${N}'", "3"),
        ("${ON}", True),
        ("${EMPTY}", None),
        ('"${EMPTY}"', ""),
        ("${HOST}:${N}", "example.com:3"),
        ("${EMPTY:-5}", 5),
        ("${NOPE:-a b}", "a b"),
        ("${NOPE:-}", None),
        ("${HOST:-other}", "example.com"),
        ("'${NOPE:-$$5}'", "$5"),
        ("|\n  ${HOST}\n", "example.com\n"),
        ("${INF}", ".inf"),
    ],
)
def test_references_are_replaced_and_plain_scalars_resolved_again(text: str, value: Json) -> None:
    outcome = replaced(text)

    assert outcome.value == value
    assert type(outcome.value) is type(value)
    assert outcome.environment.used == {"/a"}
    assert outcome.found == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("$$N", "$N"), ("$${N}", "${N}"), ("$N", "$N"), ("a$", "a$"), ("12", 12), ("$$5", "$5")],
)
def test_a_dollar_itself_comes_from_no_variable(text: str, value: Json) -> None:
    outcome = replaced(text)

    assert outcome.value == value
    assert outcome.environment.used == set()


@pytest.mark.parametrize(
    ("text", "message", "shown"),
    [
        ("'x${BAD'", "`${` is not closed", "${BAD"),
        ("'${'", "`${` is not closed", "${"),
        ("'${1x}b'", "`${` is not followed by a name", "${1x}"),
        ("'${A:?no}'", "a name after `${` is followed by neither `}` nor `:-`", "${A:?no}"),
        ("'${A:-${B}}'", "the default of `${A}` contains another reference", "${A:-${B}"),
    ],
)
def test_a_malformed_reference_is_pointed_at(text: str, message: str, shown: str) -> None:
    outcome = replaced(text)

    [found] = outcome.found
    assert (found.code, found.message) == ("CH112", message)
    assert f"a: {text}"[found.place.column - 1 : found.place.end_column - 1] == shown
    assert outcome.environment.unset == {"/a"}
    assert outcome.value == text.strip("'")


@pytest.mark.parametrize(
    ("missing_is_error", "severity"), [(True, Severity.ERROR), (False, Severity.WARNING)]
)
def test_a_missing_variable_is_an_error_only_to_run(
    missing_is_error: bool, severity: Severity
) -> None:
    outcome = replaced("x-${NOPE}", missing_is_error=missing_is_error)

    [found] = outcome.found
    assert (found.code, found.severity) == ("CH113", severity)
    assert (found.place.column, found.place.end_column) == (6, 13)
    assert outcome.value == "x-${NOPE}"
    assert outcome.environment.unset == {"/a"}


def test_two_missing_variables_are_two_findings() -> None:
    assert [d.code for d in replaced("${A}${B}", {}).found] == ["CH113", "CH113"]


def test_no_message_shows_a_variable() -> None:
    outcome = replaced("'${N} ${KEY} ${X'", {"N": "hunter2"})

    assert len(outcome.found) == 2
    assert "hunter2" not in repr(outcome.found) + repr(outcome.environment)


@pytest.mark.parametrize("pointer", ["/auth/a/secret", "/api/keys/0", "/webhooks/0/secret"])
def test_a_secret_of_digits_stays_a_text(pointer: str) -> None:
    report = Report()
    tree = parse("a: ${N}", "c.yaml", report)
    assert tree is not None
    environment = Environment(variables=VARIABLES, report=report, missing_is_error=True)
    node = tree.node("/a")
    assert isinstance(node, ScalarNode)
    assert environment.value(tree, node, pointer) == "3"


@pytest.mark.parametrize(
    ("pointer", "severity", "is_known"),
    [
        ("/auth/a/secret", Severity.ERROR, False),
        ("/api/keys/0", Severity.ERROR, False),
        ("/auth/a/tokens/0/token", Severity.ERROR, False),
        ("/webhooks/0/secret", Severity.ERROR, False),
        ("/webhooks/0/url", Severity.WARNING, True),
        ("/server/bind", Severity.WARNING, True),
    ],
)
def test_a_variable_without_braces_is_an_error_where_it_would_be_the_secret(
    pointer: str, severity: Severity, is_known: bool
) -> None:
    text = "https://x/$HOST_NAME"
    report = Report()
    tree = parse(text, "c.yaml", report)
    assert tree is not None
    environment = Environment(variables={}, report=report, missing_is_error=False)
    assert isinstance(tree.root, ScalarNode)
    assert environment.value(tree, tree.root, pointer) == text
    assert [(one.code, one.severity) for one in report] == [("CH125", severity)]
    assert (pointer not in environment.unset) is is_known


@pytest.mark.parametrize("text", ["^[a-z]$", "$$NAME", "US$5", "$name", "a$"])
def test_other_dollars_are_text(text: str) -> None:
    report = Report()
    tree = parse(text, "c.yaml", report)
    assert tree is not None
    assert isinstance(tree.root, ScalarNode)
    environment = Environment(variables={}, report=report, missing_is_error=False)
    environment.value(tree, tree.root, "/auth/a/secret")
    assert len(report) == 0


def test_a_default_is_not_advised_for_a_secret() -> None:
    report = Report()
    tree = parse("${NAME}", "c.yaml", report)
    assert tree is not None
    assert isinstance(tree.root, ScalarNode)
    environment = Environment(variables={}, report=report, missing_is_error=False)
    environment.value(tree, tree.root, "/auth/a/secret")
    environment.value(tree, tree.root, "/server/bind")
    assert [one.help for one in report][:1] == ["set NAME"]
