import re
from pathlib import Path

import pytest

from channeld.scenarios.outcome import Status
from channeld.scenarios.suite import Options, Runs, read_text

GUIDE = (Path(__file__).parents[2] / "docs/guides/testing.md").read_text()
BLOCKS = re.findall(r"^```yaml scenario\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", BLOCKS, ids=["first", "stubs"])
def test_the_scenarios_of_the_guide_pass(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    result = Runs(Options()).run(read_text(text, "guide.test.yaml"))
    assert result.diagnostics == ()
    assert [one.status for one in result.outcomes] == [Status.PASS]
