"""What the front page says of this version is true of it."""

import re
from pathlib import Path

import pytest

from channeld.diagnostics.render.text import render_one
from channeld.loading import check
from tests.docs.blocks import ROOT

README = (ROOT / "README.md").read_text()
HEAD = "channeld: 1\nchannels: {it: {path: /it, auth: none, events: {told: {}}}}\n"
SECRET = "for-tests-only-0123456789abcdef-0123"
# What the language declares, and some version may refuse.
LATE = {
    "api": f"api: {{keys: [{SECRET}]}}\n",
    "broker": "broker: {redis: {url: 'redis://127.0.0.1:6379/0'}}\n",
    "webhooks": f"webhooks: [{{url: 'https://app.example', secret: {SECRET}, events: [joined]}}]\n",
    "workers": "broker: {redis: {url: 'redis://127.0.0.1:6379/0'}}\nserver: {workers: 2}\n",
}


@pytest.mark.parametrize("key", LATE)
def test_what_is_refused_is_said_so(key: str, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(HEAD + LATE[key])
    refused = "CH710" in {found.code for found in check(str(file), environ={}).report}
    said = re.search(r"declares more than this version does: ([^.]*)\.", README)
    told = said is not None and f"`{key}`" in said[1]
    assert refused == told


def test_the_diagnostic_is_the_one_that_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = re.search(r"```yaml bad CH310\n(.*?)```", README, re.DOTALL)
    shown = re.search(r"```text\n(error\[CH310\].*?)```", README, re.DOTALL)
    assert config is not None
    assert shown is not None
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(config[1])
    checked = check("channels.yaml", environ={})
    found = next(one for one in checked.report if one.code == "CH310")
    assert render_one(found, checked.sources) == shown[1]


def test_the_page_names_no_figure_of_speed() -> None:
    assert not re.search(r"\d+ ?(?:µs|ms|connections a|messages a|msg/s|times faster)", README)
