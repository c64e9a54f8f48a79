"""Pages that a command writes say of which commit they are, and by which command they are made again."""

import re

import pytest

from tests.docs.blocks import ROOT
from tests.made import made

# Each with the command that its text names.
PAGES = {
    "docs/conformance.md": "make conformance",
    "docs/threat-tests.md": "make threats",
    "docs/topics/hostile-clients.md": "make soak",
    "docs/guides/backends.md": "python bench/hook_cost.py --docs",
    "docs/topics/capacity.md": "python bench/nodes.py --docs",
    "docs/topics/performance.md": "python bench/pieces.py --docs",
}
_COMMIT = re.compile(r"\b\d{4}-\d\d-\d\d,? (?:at )?commit `?[0-9a-f]{7,}(?:-dirty)?\b")


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_names_its_commit_and_its_command(page: str) -> None:
    text = (ROOT / page).read_text()
    assert _COMMIT.search(text)
    assert f"`{PAGES[page]}`" in text


@pytest.mark.parametrize("command", PAGES.values())
def test_the_command_exists(command: str) -> None:
    program, _, rest = command.partition(" ")
    if program == "make":
        assert re.search(rf"^{rest}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        script, _, option = rest.partition(" ")
        assert f'"{option}"' in (ROOT / script).read_text()


def test_the_line_names_this_commit() -> None:
    assert _COMMIT.search(made("make it"))
    assert made("make it").endswith("by `make it`.")
