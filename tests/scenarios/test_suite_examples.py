from pathlib import Path

import pytest

from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.scenarios.suite import Options, Runs, read_text

ENTRIES = [entry for entry in CATALOGUE.values() if entry.code.startswith("CH8")]
CONFIG = """\
channeld: 1
auth: {bots: {type: hook, hook: "chat_hooks_of_scenarios:bot"}}
channels:
  room: {path: "/rooms/{r}", auth: [bots], messages: {message: {schema: true, route: sender, stamp: {from: "{user.id}"}}}}
"""


def codes(text: str) -> list[str]:
    return [one.code for one in Runs(Options()).run(read_text(text, "it.test.yaml")).diagnostics]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_the_wrong_example_has_the_code_and_the_right_one_has_none(
    entry: CatalogueEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(CONFIG)
    Path("chat_hooks_of_scenarios.py").write_text("def bot(request): return None\n")
    assert set(codes(entry.wrong)) == {entry.code}
    assert codes(entry.right) == []
    assert entry.title[0].islower()
    assert not entry.title.endswith(".")
