import subprocess
from pathlib import Path

import pytest

from channeld.diff import revisions
from channeld.diff.revisions import NoRevision, file_of, locate


def git(*arguments: str, folder: str = ".") -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit with a few files, then other contents in the folder."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    for name in (
        "app/channels.yaml",
        "app/parts/a.yaml",
        "app/parts/deep/b.yaml",
        "app/parts/.c.yaml",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"old {name}")
    git("add", ".")
    git("commit", "-qm", "one")
    Path("app/channels.yaml").write_text("new")
    return tmp_path


def test_a_file_is_itself() -> None:
    found = locate("app/channels.yaml", "x")
    assert (found.file, found.prefix) == ("app/channels.yaml", "")
    assert found.files.read(found.file) == b"new"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("git:HEAD", "."),
        ("git:main", "app"),
        ("HEAD:app/channels.yaml", "."),
        ("HEAD:app/channels.yaml", "app"),
        ("main:./channels.yaml", "app"),
        ("HEAD:./app/channels.yaml", "."),
    ],
)
def test_a_file_of_a_revision(name: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    other = "channels.yaml" if folder == "app" else "app/channels.yaml"
    found = locate(name, other)
    assert found.file == "app/channels.yaml"
    assert found.files.read(found.file) == b"old app/channels.yaml"
    assert found.prefix == name.partition(":")[0].replace("git", name.partition(":")[2]) + ":"


def test_a_file_with_a_colon_in_its_name_is_a_file() -> None:
    Path("git:HEAD").write_text("here")
    assert locate("git:HEAD", "x").files.read("git:HEAD") == b"here"
    assert file_of("git:HEAD", "d") == "git:HEAD"


def test_which_file_git_stands_for() -> None:
    assert [file_of(name, "d") for name in ("a.yaml", "git:x", "x:b.yaml")] == [
        "a.yaml",
        "d",
        "b.yaml",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("app/parts/*.yaml", ["a"]),
        ("app/parts/**/*.yaml", ["a", "deep/b"]),
        ("app/./parts/deep/../a.yaml", ["a"]),
        ("app/parts/.*.yaml", [".c"]),
        ("app/none/*", []),
    ],
)
def test_what_a_pattern_matches(pattern: str, expected: list[str]) -> None:
    files = locate("HEAD:app/channels.yaml", "x").files
    assert sorted(files.list_files(pattern)) == [f"app/parts/{name}.yaml" for name in expected]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("git:none", "revision none not found; `git fetch` it"),
        (":app/channels.yaml", "is neither a file nor a revision"),
        ("git:", "is neither a file nor a revision"),
        ("--output=x:y", "is neither a file nor a revision"),
        ("HEAD:", "is neither a file nor a revision"),
    ],
)
def test_bad_revisions(name: str, words: str) -> None:
    with pytest.raises(NoRevision, match=words):
        locate(name, "app/channels.yaml")


def test_a_file_that_a_revision_does_not_have() -> None:
    files = locate("HEAD:channels.yaml", "x").files
    with pytest.raises(OSError, match="no such file in HEAD; there is HEAD:app/channels"):
        files.read("channels.yaml")
    with pytest.raises(OSError, match="outside the repository"):
        files.read("../secret.yaml")


def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "MAX_BYTES", 3)
    files = locate("HEAD:app/channels.yaml", "x").files
    with pytest.raises(OSError, match=r"it is over"):
        files.read("app/channels.yaml")


def test_a_shallow_clone_says_how_to_get_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("commit", "-aqm", "two")
    git("clone", "-q", "--depth", "1", f"file://{tmp_path}", "clone")
    monkeypatch.chdir("clone")
    with pytest.raises(NoRevision, match="fetch-depth: 0"):
        locate("git:HEAD~1", "app/channels.yaml")


def test_a_branch_that_only_the_remote_has_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("branch", "other")
    git("clone", "-q", str(tmp_path), "clone")
    monkeypatch.chdir("clone")
    with pytest.raises(NoRevision, match="did you mean origin/other"):
        locate("git:other", "app/channels.yaml")


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.chdir("none")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(NoRevision, match="not a git repository"):
        locate("git:HEAD", "channels.yaml")


def test_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoRevision, match="git is not installed"):
        locate("git:HEAD", "channels.yaml")


def test_a_file_outside_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("app")
    with pytest.raises(NoRevision, match="outside"):
        locate("HEAD:../../elsewhere.yaml", "x")
