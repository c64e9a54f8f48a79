import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from channeld.cli import watching
from channeld.cli.watching import Watched, watch
from channeld.plan.load import Checked, check

YAML = """
channeld: 1
include: [more/*.yaml]
hooks: {lifespan: watched_hooks:span}
channels:
  a: {path: /a, auth: none, messages: {say: {schema: say.json}}}
"""
HOOKS = """
from contextlib import asynccontextmanager
import watched_helper

@asynccontextmanager
async def span(server):
    yield None
"""

Check = Callable[[Watched], Checked]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.joinpath("more").mkdir(parents=True)
    folder.joinpath("channels.yaml").write_text(YAML)
    folder.joinpath("more", "b.yaml").write_text("channels: {b: {path: /b, auth: none}}")
    folder.joinpath("say.json").write_text("{}")
    folder.joinpath("watched_hooks.py").write_text(HOOKS)
    folder.joinpath("watched_helper.py").write_text("")
    return folder


@pytest.fixture
def read(project: Path) -> Check:
    """A check as `run` makes it."""

    def one(watched: Watched) -> Checked:
        fresh = watched.look()
        checked = check(str(project / "channels.yaml"), fresh=fresh)
        watched.take(checked.sources.files, checked.plan)
        return checked

    return one


@pytest.fixture
def watched(read: Check) -> Watched:
    watched = Watched()
    checked = read(watched)
    assert checked.plan is not None, checked.report
    assert not watched.has_changed()
    return watched


NAMES = ("channels.yaml", "more/b.yaml", "say.json", "watched_hooks.py", "watched_helper.py")


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_any_file_is_seen_once(
    watched: Watched, project: Path, read: Check, name: str
) -> None:
    with project.joinpath(name).open("a") as file:
        file.write("\n")
    assert watched.has_changed()
    read(watched)
    assert not watched.has_changed()


def test_a_file_that_is_replaced_by_one_of_its_size_and_time_is_seen(
    watched: Watched, project: Path
) -> None:
    file = project / "say.json"
    status = file.stat()
    other = project / "other"
    other.write_text("[]")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)
    assert watched.has_changed()


def test_a_new_file_beside_included_ones_is_seen(watched: Watched, project: Path) -> None:
    project.joinpath("more", "notes.txt").write_text("")
    assert not watched.has_changed()
    project.joinpath("more", "c.yaml").write_text("")
    assert watched.has_changed()


def test_a_file_that_goes_and_comes_is_seen(watched: Watched, project: Path, read: Check) -> None:
    project.joinpath("say.json").unlink()
    assert watched.has_changed()
    assert read(watched).plan is None
    assert not watched.has_changed()
    project.joinpath("say.json").write_text("{}")
    assert watched.has_changed()


def test_a_mounted_configuration_that_is_switched_is_seen(project: Path, tmp_path: Path) -> None:
    link = tmp_path / "mounted"
    link.symlink_to(project)
    watched = Watched()
    watched.take([str(link / "channels.yaml")], None)
    other = tmp_path / "other"
    other.mkdir()
    other.joinpath("channels.yaml").write_text(YAML)
    link.unlink()
    link.symlink_to(other)
    assert watched.has_changed()
    assert project in watched.folders


def test_only_a_changed_hook_module_is_imported_afresh(watched: Watched, project: Path) -> None:
    assert watched.look() == frozenset()
    project.joinpath("watched_hooks.py").write_text(HOOKS + "\n")
    assert watched.look() == {"watched_hooks"}


def test_with_a_module_that_hooks_import_they_are_imported_afresh(
    watched: Watched, project: Path
) -> None:
    project.joinpath("watched_helper.py").write_text("x = 1")
    assert watched.look() == {"watched_hooks", "watched_helper"}


def test_after_a_failed_check_the_modules_stay_watched(
    watched: Watched, project: Path, read: Check
) -> None:
    project.joinpath("watched_hooks.py").write_text("def (")
    assert read(watched).plan is None
    project.joinpath("watched_hooks.py").write_text(HOOKS)
    assert watched.has_changed()
    assert watched.look() == {"watched_hooks"}


def test_installed_modules_are_not_a_projects_own(project: Path) -> None:
    project.joinpath("site-packages").mkdir()
    assert "watched_hooks" not in watching._own_modules(str(project / "site-packages"))
    assert not [
        name for name in watching._own_modules("/") if name.startswith(("channeld", "trio"))
    ]


async def test_a_change_reloads(watched: Watched, project: Path, read: Check) -> None:
    reloaded = trio.Event()

    async def reload() -> None:
        read(watched)
        reloaded.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, watched, reload)
        # Whenever the system begins to watch, a later change is one that it reports.
        while not reloaded.is_set():
            project.joinpath("say.json").write_text("{}")
            with trio.move_on_after(0.2):
                await reloaded.wait()
        nursery.cancel_scope.cancel()


async def test_other_files_do_not_reload(watched: Watched, project: Path, read: Check) -> None:
    calls: list[str] = []
    reloaded = trio.Event()

    async def reload() -> None:
        calls.append("reload")
        read(watched)
        reloaded.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, watched, reload)
        for name in ("notes.txt", "say.json~", ".say.json.swp"):
            project.joinpath(name).write_text("x")
        while not reloaded.is_set():
            project.joinpath("say.json").write_text("{ }")
            with trio.move_on_after(0.2):
                await reloaded.wait()
        nursery.cancel_scope.cancel()
    assert calls == ["reload"]


async def test_a_system_that_watches_no_more_is_logged(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def awatch(*_paths: Path, **_options: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("watchfiles.awatch", awatch)

    async def reload() -> None:
        raise AssertionError

    await watch(watched, reload)
    assert "OS file watch limit reached" in capsys.readouterr().err
