from xml.etree import ElementTree as ET

from channeld.scenarios.junit import render_junit_outcomes
from channeld.scenarios.outcome import FileResult
from channeld.scenarios.suite import Options, Runs, read_text
from tests.scenarios.kit import run

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
