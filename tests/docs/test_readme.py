"""What the front page says of this version is true of it."""

import re
from pathlib import Path

import pytest

from channeld.diagnostics.render.text import render_one
from channeld.plan.load import check
from tests.docs.blocks import ROOT

WRONG = """\
channeld: 1
channels:
  chat:
    path: /chat
    auth: none
    messages:
      whisper:
        schema: {type: object, properties: {to: {type: string}}}
        route: {to: user, user: "{message.to}"}
"""
README = (ROOT / "README.md").read_text()


def test_the_diagnostic_is_the_one_that_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.search(r"```text\n(error\[CH310\].*?)```", README, re.DOTALL)
    assert shown is not None
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(WRONG)
    checked = check("channels.yaml", environ={})
    found = next(one for one in checked.report if one.code == "CH310")
    assert render_one(found, checked.sources) == shown[1]


def test_the_page_names_no_figure_of_speed() -> None:
    assert not re.search(r"\d+ ?(?:µs|ms|connections a|messages a|msg/s|times faster)", README)
