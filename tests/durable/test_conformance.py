"""The public suite of Durable Streams: every test passes but those that the docs list, and those fail."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.durable.shim import beside, serving
from tests.npm_parts import npm_folder

pytestmark = [pytest.mark.wide, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[2] / "docs" / "durable-streams.md"
RUNNER = """
import { runConformanceTests } from "@durable-streams/server-conformance-tests";
// channeld's longest poll takes 30 s.
runConformanceTests({ baseUrl: process.env.CONFORMANCE_TEST_URL, longPollTimeoutMs: 40000 });
"""


def listed(section: str) -> list[str]:
    """The first column of a section's table."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(.*?)` \|", text, re.MULTILINE)


@pytest.fixture
def suite() -> Iterator[Path]:
    """The suite's runner, where Node finds the suite."""
    runner = npm_folder("npm-streams").parent / f"suite-{os.getpid()}.test.mjs"
    runner.write_text(RUNNER)
    yield runner
    runner.unlink()


def test_the_public_suite(tmp_path: Path, suite: Path) -> None:
    left_out = "|".join(re.escape(name) for name in listed("Left out"))
    report = tmp_path / "report.json"
    vitest = ["node", str(suite.parent / "node_modules" / "vitest" / "vitest.mjs"), "run"]
    options = [f"--root={suite.parent}", "--testTimeout=60000", "--reporter=json"]
    names = ["--testNamePattern", f"^(?!.*({left_out})).*$"]
    program = [*vitest, *options, *names, f"--outputFile={report}", suite.name]
    with serving(tmp_path) as base:
        trio.run(beside, base, (tmp_path / "api.txt").read_text(), program, dict(os.environ))
    results = [
        one
        for file in json.loads(report.read_text())["testResults"]
        for one in file["assertionResults"]
    ]
    failed = {one["title"]: one["failureMessages"] for one in results if one["status"] == "failed"}
    assert sorted(failed) == sorted(listed("Fails")), failed
    # What is left out is there, and the rest was really run.
    ran = [one for one in results if one["status"] == "passed"]
    assert len(ran) > 130
    everything = "\n".join(one["fullName"] for one in results)
    assert [name for name in listed("Left out") if name not in everything] == []
