"""What the page "From mistake to merge" says of the shadow is what comes of its own two files."""

import json
from pathlib import Path

import pytest

from channeld.plan.load import check
from channeld.shadow.shadow import Shadow
from channeld.testing import running
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs/guides/from-mistake-to-merge.md"


async def test_the_shadow_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHANNELD_JWT_SECRET", "for-tests-only-0123456789abcdef-0123")
    found = [*blocks(PAGE)]
    files = {one.file: one.text for one in found if one.file and "bad" not in one.words}
    for name in ("channels.yaml", "new.yaml"):
        (tmp_path / name).write_text(files[name])
    plans = {name: check(str(tmp_path / name)).plan for name in ("channels.yaml", "new.yaml")}
    served, asked = plans["channels.yaml"], plans["new.yaml"]
    assert served is not None
    assert asked is not None
    async with running(served) as app:
        shadow = Shadow(asked, app.engine)
        shadow.begin()
        ann = await app.connect("/rooms/a", user="ann", claims={"role": "member"})
        for text in ("hi", "a" * 281, "bye"):
            await ann.send({"type": "say", "text": text})
        await app.rest()
        shadow.tally.summarize()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = {line["event"]: line for line in lines}
    (shown,) = (one for one in found if "--shadow" in one.text)
    for line in shown.text.splitlines()[1:]:
        wanted = json.loads(line)
        came = told[wanted["event"]]
        assert {name: came[name] for name, value in wanted.items() if value != "…"} == {
            name: value for name, value in wanted.items() if value != "…"
        }
