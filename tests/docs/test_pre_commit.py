"""The hook for pre-commit is a command that there is, for the files that there are."""

import re
import shlex

import yaml

from channeld.cli.main import run
from tests.docs.blocks import ROOT


def test_the_hook_runs_on_the_shipped_file() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *arguments = shlex.split(hook["entry"])
    assert (program, hook["language"]) == ("channeld", "python")
    assert run([*arguments, str(ROOT / "channels.yaml")]) == 0


def test_it_looks_at_configurations_only() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    wanted = ["channels.yaml", "a/channels.yml"]
    others = ["my-channels.yaml", "channels.yaml.bak", "a/channels/b.yaml", "channelsxyaml"]
    assert [name for name in wanted + others if re.search(hook["files"], name)] == wanted
