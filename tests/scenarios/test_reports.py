import json
from xml.etree import ElementTree as ET

from channeld.scenarios.coverage import cover
from channeld.scenarios.outcome import FileResult
from channeld.scenarios.reports import (
    render_github_outcomes,
    render_json_outcomes,
    render_junit_outcomes,
)
from channeld.scenarios.suite import Options, Runs, read_text
from tests.scenarios.kit import ROOM, run

FAILING = (
    f"scenarios:\n  - name: it\n{ROOM}    steps:\n      - ann: {{expect: {{type: ack, id: 1}}}}\n"
)


def test_one_document_has_it_all() -> None:
    result = run(FAILING)
    document = json.loads(render_json_outcomes([result], 0.5))
    assert document["summary"] == {
        "passed": 0,
        "failed": 1,
        "errors": 0,
        "skipped": 0,
        "seconds": 0.5,
    }
    [scenario] = document["scenarios"]
    assert (scenario["name"], scenario["status"], scenario["line"]) == ("it", "fail", 2)
    [problem] = scenario["problems"]
    assert (problem["line"], problem["column"]) == (8, 23)
    assert problem["message"] == "ann did not receive what was expected"
    assert scenario["timeline"][0]["text"] == "connects to /rooms/a"
    assert "coverage" not in document


def test_differences_have_their_places() -> None:
    text = FAILING.replace("{type: ack, id: 1}", "{type: authenticated, user: bob, expires: 1}")
    document = json.loads(render_json_outcomes([run(text)], 0))
    differences = document["scenarios"][0]["problems"][0]["differences"]
    assert [one["path"] for one in differences] == ["/user", "/expires"]
    assert differences[0]["expected"] == '"bob"'


def test_findings_and_unreadable_files_are_in_it() -> None:
    result = Runs(Options()).run(read_text("scenarios: []", "a.test.yaml"))
    document = json.loads(render_json_outcomes([result], 0))
    assert document["diagnostics"][0]["code"] == "CH813"
    assert document["summary"]["errors"] == 1


def test_coverage_is_in_it_where_it_was_asked_for() -> None:
    result = run(FAILING)
    assert result.reached is not None
    document = json.loads(render_json_outcomes([result], 0, cover([result.reached])))
    [coverage] = document["coverage"]
    assert coverage["channels"]["room"]["reached"] > 0
    assert {"channel": "bell", "kind": "channel", "name": "connected"}.items() <= coverage[
        "missed"
    ][[one["channel"] for one in coverage["missed"]].index("bell")].items()


TEXT = """\
scenarios:
  - {name: good, steps: []}
  - {name: "bad <&>", clients: {ann: {path: /nowhere}}, steps: []}
  - {name: later, skip: not now, steps: []}
"""


def test_each_scenario_is_a_case() -> None:
    root = ET.fromstring(render_junit_outcomes([run(TEXT)], 1.5))
    assert root.attrib == {
        "name": "channeld test",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
        "time": "1.500",
    }
    cases = root.findall("testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == ["good", "bad <&>", "later"]
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["skipped"]]
    assert cases[1].attrib["line"] == "3"
    assert "timeline" in (cases[1][0].text or "")


def test_a_broken_file_is_one_case_with_an_error() -> None:
    broken = Runs(Options()).run(read_text("scenarios: []", "a.test.yaml"))
    gone = FileResult(file="b.test.yaml", unreadable="No such file")
    root = ET.fromstring(render_junit_outcomes([broken, gone], 0))
    assert (root.attrib["tests"], root.attrib["errors"]) == ("2", "2")
    assert [one.text for one in root.iter("error")][1] == "No such file"
    assert "CH813" in (next(root.iter("error")).text or "")


BAD = 'scenarios: [{name: "a, b: 100%", clients: {ann: {path: /nowhere}}, steps: []}]'


def test_a_failure_is_one_annotation_and_the_count_is_text() -> None:
    lines = render_github_outcomes([run(BAD)], 0).splitlines()
    assert lines == [
        (
            "::error file=tests/scenarios/cases/case.test.yaml,line=1,col=49,endColumn=65,"
            "title=FAIL a%2C b%3A 100%25::ann was not accepted%0Arefused with HTTP 404%0Aclient ann connects"
        ),
        "0 passed, 1 failed, 0 errors, 0 skipped in 0.00s (virtual 0s)",
    ]


def test_findings_and_unreadable_files_are_annotations() -> None:
    broken = Runs(Options()).run(read_text("scenarios: []", "a.test.yaml"))
    gone = FileResult(file="b.test.yaml", unreadable="No such file")
    lines = render_github_outcomes([broken, gone], 0).splitlines()
    assert lines[0] == (
        "::error file=b.test.yaml,line=1,col=1,endColumn=1,title=file cannot be read::No such file"
    )
    assert lines[1].startswith("::error file=a.test.yaml,line=1,")
    assert len(lines) == 3
