import json

from channeld.scenarios.coverage import cover
from channeld.scenarios.json import render_json_outcomes
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
