from channeld.scenarios.github import render_github_outcomes
from channeld.scenarios.outcome import FileResult
from channeld.scenarios.suite import Options, Runs, read_text
from tests.scenarios.kit import run

TEXT = 'scenarios: [{name: "a, b: 100%", clients: {ann: {path: /nowhere}}, steps: []}]'


def test_a_failure_is_one_annotation_and_the_count_is_text() -> None:
    lines = render_github_outcomes([run(TEXT)], 0).splitlines()
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
