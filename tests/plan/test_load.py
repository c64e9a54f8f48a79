"""From a file's name to a plan."""

from pathlib import Path

import pytest

from channeld.plan.load import ConfigError, check, load_plan

GOOD = "channeld: 1\nchannels: {c: {path: /c, auth: none, messages: {m: {schema: true, route: sender}}}}\n"


def test_good_file_becomes_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(GOOD)
    assert list(load_plan(str(file)).channels) == ["c"]


def test_errors_of_every_layer_are_in_one_report(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(GOOD.replace("sender", "nobody").replace("auth: none", "auth: none, a: 1"))
    checked = check(str(file), environ={})
    assert checked.plan is None
    assert {d.code for d in checked.report.errors} == {"CH103", "CH106"}


def test_bad_or_absent_file_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CH117"):
        load_plan(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "option",
    [
        *("deprecated: yes", "schema: yes", "schema: off", "schema: {x-sensitive: on}"),
        *("schema: {properties: {a: yes}}", "schema: {additionalProperties: off}"),
        "schema: {properties: {a: {type: boolean}}}, examples: [{a: yes}]",
    ],
)
def test_such_a_word_in_a_message_is_one_finding(tmp_path: Path, option: str) -> None:
    schema = "" if "schema" in option else "schema: true, "
    text = "channeld: 1\nchannels: {c: {path: /c, description: One., auth: none, messages: {m: {%s%s, route: sender}}}}\n"
    file = tmp_path / "channels.yaml"
    file.write_text(text % (schema, option))
    [found] = [one for one in check(str(file)).report if one.code != "CH207"]
    assert found.help.startswith(
        ("write `true`", "write `false`", "write `schema: true`", "correct")
    )
