"""Each template is a project that works: no finding, its hooks run, its scenarios pass."""

import tomllib
from pathlib import Path

import pytest
import yaml

from channeld.dev.new_project import TEMPLATES, InTheWay, contents, create
from channeld.plan.load import check

SECRETS = {
    "CHANNELD_JWT_SECRET": "for-tests-only-0123456789abcdef-0123",
    "CHANNELD_API_KEY": "for-tests-only-0123456789abcdef-0123",
    "CHANNELD_DEVICE_TOKEN": "for-tests-only-0123456789abcdef-0123",
}

every_template = pytest.mark.parametrize("template", TEMPLATES)


@pytest.fixture(params=TEMPLATES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    create(tmp_path / "project", contents(request.param))
    return tmp_path / "project"


def test_a_project_has_no_finding_of_any_kind(project: Path) -> None:
    checked = check(str(project / "channels.yaml"), environ=SECRETS)
    assert [(found.code, found.message) for found in checked.report] == []
    assert checked.plan is not None


def test_editors_find_the_languages_schema_where_the_first_line_says(project: Path) -> None:
    first = (project / "channels.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=schemas/channels.schema.json"
    assert (project / "schemas/channels.schema.json").is_file()


def test_the_workflow_validates_tests_and_compares(project: Path) -> None:
    workflow = yaml.safe_load((project / ".github/workflows/channeld.yml").read_text())
    said = " ".join(step.get("run", "") for step in workflow["jobs"]["check"]["steps"])
    # Nothing is installed by a name that somebody else may own.
    assert "pip install vendor/channeld-*.whl" in said
    assert "pip install channeld" not in said
    assert all(f"channeld {word}" in said for word in ("validate", "test", "diff"))


def test_the_readme_is_three_commands_long(project: Path) -> None:
    lines = (project / "README.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("$ ")]) == 3


@every_template
def test_names_are_as_they_are_wanted(template: str) -> None:
    names = contents(template).keys()
    assert {".gitignore", "channels.yaml", "hooks.py", "README.md"} <= names
    assert not [name for name in names if "dot-" in name or name.endswith(".in")]


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    for name in ("channels.yaml", ".env"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(InTheWay) as raised:
        create(tmp_path, contents("chat"))
    assert raised.value.names == [".env", "channels.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "channels.yaml"]
    assert (tmp_path / "channels.yaml").read_text() == "mine"


def test_a_fresh_repository_is_empty_enough(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert "channels.yaml" in create(tmp_path, contents("chat"))


def test_the_wheel_has_the_templates() -> None:
    # Every file under `channeld/` is packed, unless git is told to ignore it.
    root = Path(__file__).parents[2]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]
    assert wheel["packages"] == ["channeld"]
    assert not {"exclude", "include", "only-include"} & wheel.keys()
