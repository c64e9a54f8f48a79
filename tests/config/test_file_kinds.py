"""Files are told apart by name, and searched for without other people's."""

from pathlib import Path

import pytest

from channeld.config.file_kinds import files_below, is_configuration, is_scenarios


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("channels.yaml", (True, False)),
        ("a/channels.yml", (True, False)),
        ("a/chat.test.yaml", (False, True)),
        ("chat.test.yml", (False, True)),
        ("other.yaml", (False, False)),
        ("my-channels.yaml", (False, False)),
    ],
)
def test_a_name_says_what_a_file_is(name: str, kinds: tuple[bool, bool]) -> None:
    assert (is_configuration(name), is_scenarios(name)) == kinds


def test_hidden_folders_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    for folder in ("a/b", ".git", "node_modules/x", "venv"):
        tmp_path.joinpath(folder).mkdir(parents=True)
        tmp_path.joinpath(folder, "channels.yaml").touch()
    assert [*files_below(f"{tmp_path}/.", is_configuration)] == [f"{tmp_path}/./a/b/channels.yaml"]
