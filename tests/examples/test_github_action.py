"""The GitHub action: its shell steps, run with bash in a repository of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION: Any = yaml.safe_load((ROOT / "examples/github-action/action.yml").read_text())
CONFIG = """\
channeld: 1
channels:
  lobby:
    path: /chat
    description: All.
    auth: none
    messages: {say: {schema: {type: object, properties: {text: {type: string, maxLength: 50}}, additionalProperties: false}, route: sender}}
"""
SCENARIO = """\
scenarios:
  - name: what is said comes back
    clients: {ann: {path: /chat}}
    steps:
      - ann: {send: {type: say, text: hi}}
      - ann: {expect: {type: say, text: hi}}
"""


class Runner:
    """As much of GitHub's as the action sees: a checkout, its inputs, and the files that steps write to."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.checkout = folder / "origin", folder / "checkout"
        self.temp, self.programs = folder / "temp", folder / "programs"
        for one in (self.origin, self.temp, self.programs):
            one.mkdir()
        channeld = self.programs / "channeld"
        channeld.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m channeld "$@"\n')
        channeld.chmod(0o755)
        (self.temp / "channeld-failed").touch()
        self.git("init", "-q", "-b", "main", at=self.origin)

    def git(self, *arguments: str, at: Path | None = None) -> None:
        line = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments]
        subprocess.run(line, cwd=at or self.checkout, check=True, capture_output=True)

    def commit(self, at: Path, **files: str) -> None:
        for name, text in files.items():
            (at / name.replace("__", ".")).write_text(text)
        self.git("add", "-A", at=at)
        self.git("commit", "-q", "--allow-empty", "-m", "x", at=at)

    def clone(self) -> None:
        self.git(
            "clone", "-q", "--depth=1", f"file://{self.origin}", str(self.checkout), at=self.temp
        )

    def environment(self, step: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, str]:
        def value(found: re.Match[str]) -> str:
            kind, _, name = found[1].partition(".")
            if kind == "github":
                return ""
            return (
                {one: str(told["default"]) for one, told in ACTION["inputs"].items()}[name]
                if name not in inputs
                else inputs[name]
            )

        given = {
            name: re.sub(
                r"\$\{\{ (\S+) \}\}", value, re.sub(r"\$\{\{ (inputs\.\S+) \}\}", value, text)
            )
            for name, text in step.get("env", {}).items()
        }
        files = ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.temp),
            **{name: str(self.temp / name) for name in files},
            **given,
        }

    def step(self, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        (step,) = (one for one in ACTION["runs"]["steps"] if one["name"] == name)
        # What `shell: bash` is on GitHub.
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.checkout,
            env=self.environment(step, inputs),
            capture_output=True,
            text=True,
            check=False,
        )

    def check(self, **inputs: str) -> int:
        """All steps after the installation; the status of the action."""
        for name in ("Validate", "Test", "Check the rights", "Compare"):
            assert self.step(name, **inputs).returncode == 0
        return self.step("Verdict").returncode

    @property
    def failed(self) -> str:
        return (self.temp / "channeld-failed").read_text()

    @property
    def summary(self) -> str:
        return (self.temp / "GITHUB_STEP_SUMMARY").read_text()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_the_first_pull_request_that_brings_the_file(runner: Runner) -> None:
    runner.commit(runner.origin, README="hello")
    runner.clone()
    runner.commit(runner.checkout, channels__yaml=CONFIG)
    assert runner.check(base="main") == 0, runner.failed
    assert runner.summary.startswith("### channeld: `channels.yaml` is new")
    assert "| may send | `say` |" in runner.summary
    assert "comment=" in (runner.temp / "GITHUB_OUTPUT").read_text()


def test_a_change_that_breaks_clients(runner: Runner) -> None:
    runner.commit(runner.origin, channels__yaml=CONFIG)
    runner.clone()
    runner.commit(runner.checkout, channels__yaml=CONFIG.replace("50", "5"))
    assert runner.check(base="main") == 1
    assert runner.failed == "diff ended with 1\n"
    assert "#### 🔴 Breaking" in runner.summary


def test_the_same_change_where_none_fails(runner: Runner) -> None:
    runner.commit(runner.origin, channels__yaml=CONFIG)
    runner.clone()
    runner.commit(runner.checkout, channels__yaml=CONFIG.replace("50", "5"))
    assert runner.check(base="main", **{"fail-on": "never"}) == 0


def test_a_push_compares_nothing(runner: Runner) -> None:
    runner.commit(runner.origin, channels__yaml=CONFIG)
    runner.clone()
    assert runner.check() == 0
    assert not (runner.temp / "GITHUB_OUTPUT").exists()


def test_every_check_speaks_before_the_verdict(runner: Runner) -> None:
    bad = SCENARIO.replace("expect: {type: say, text: hi}", "expect: {type: say, text: no}")
    warned = CONFIG.replace(", additionalProperties: false", "").replace("sender", "global")
    runner.commit(runner.origin, channels__yaml=CONFIG)
    runner.clone()
    runner.commit(runner.checkout, channels__yaml=warned, it__test__yaml=bad, access__md="old")
    validated = runner.step("Validate", file="channels.yaml")
    assert "::warning file=channels.yaml,line=7" in validated.stdout
    (runner.temp / "channeld-failed").write_text("")
    assert runner.check(base="main") == 1
    assert runner.failed == "validate ended with 1\ntest ended with 1\naccess ended with 1\n"


def test_a_base_that_cannot_be_fetched_fails(runner: Runner) -> None:
    runner.commit(runner.origin, channels__yaml=CONFIG)
    runner.clone()
    assert runner.check(base="no-such-branch") == 1
    assert "can't be fetched" in runner.failed


@pytest.mark.parametrize(
    "what",
    ["channeld", "channeld==0.1.0", "vendor/none-*.whl", "git+https://example.com/c@main", "-r x"],
)
def test_a_package_s_name_is_not_installed(runner: Runner, what: str) -> None:
    runner.commit(runner.origin, README="hello")
    runner.clone()
    told = runner.step("Install channeld", install=what)
    assert told.returncode == 2
    assert "::error::install:" in told.stdout
    assert not (runner.temp / "channeld").exists()


@pytest.mark.parametrize(
    "name", ["vendor/channeld-0.1.0-py3-none-any.whl", "git+https://example.com/c@" + "a" * 40]
)
def test_what_is_installed(runner: Runner, name: str) -> None:
    runner.commit(runner.origin, README="hello")
    runner.clone()
    (runner.checkout / "vendor").mkdir()
    (runner.checkout / "vendor/channeld-0.1.0-py3-none-any.whl").touch()
    # Stands for Python: says what would have been installed, and makes the environment that the step expects.
    python = runner.programs / "python3"
    python.write_text(
        '#!/bin/sh\nmkdir -p "$3/bin"\nprintf \'#!/bin/sh\\necho "$@"\\n\' > "$3/bin/pip"\nchmod +x "$3/bin/pip"\n'
    )
    python.chmod(0o755)
    inputs = {} if name.startswith("vendor") else {"install": name}
    told = runner.step("Install channeld", **inputs)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip().endswith(name)
    assert (runner.temp / "GITHUB_PATH").read_text().strip() == f"{runner.temp}/channeld/bin"


def test_nothing_of_an_input_is_put_into_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"], "what stands in an input would run as shell"
