"""What the tests of scenarios share: a configuration with hooks that misbehave, and short ways to run a text on it."""

from pathlib import Path

from channeld.scenarios.outcome import FileResult, Outcome, ScenarioProblem
from channeld.scenarios.suite import Options, Runs, read_text

CASES = Path(__file__).parent / "cases"
RUNS = Runs(Options(cap=20.0))
FILE = "case.test.yaml"

ROOM = """\
    clients:
      ann: {path: /rooms/a, user: ann, claims: {name: Ann}}
      bob: {path: /rooms/a, user: bob, claims: {name: Bob}}
      eve: {path: /rooms/b, user: eve, claims: {name: Eve}}
"""


def run(text: str, file: str = FILE) -> FileResult:
    """Run a scenario file's text beside the configuration of `cases/`."""
    parsed = read_text(text, str(CASES.relative_to(Path.cwd()) / file))
    return RUNS.run(parsed)


def outcome(steps: str, clients: str = ROOM, more: str = "") -> Outcome:
    """What comes of one scenario; `steps` are the lines of a YAML list, `more` further keys of the scenario."""
    lines = "".join(f"      {line}\n" for line in steps.strip().splitlines())
    text = f"scenarios:\n  - name: it\n{more}{clients}    steps:\n{lines}"
    result = run(text)
    assert result.diagnostics == (), [one.message for one in result.diagnostics]
    return result.outcomes[0]


def problem(steps: str, clients: str = ROOM, more: str = "") -> ScenarioProblem:
    """Why a scenario fails."""
    found = outcome(steps, clients, more)
    assert found.problems, "it passed"
    return found.problems[0]
