"""`FILE`, `git:REV` and `REV:PATH`: where a side of the comparison is, and its files read out of git.

Inside a revision paths are those of the repository; what a configuration there refers to is read from the same revision.
Git is asked for names and contents only: nothing is checked out, and nothing is fetched that a full clone has.
"""

import fnmatch
import os
import posixpath
import shutil
import subprocess
from pathlib import Path
from typing import Final

import attrs

from channeld.config.load import MAX_BYTES, FileSystem, file_system

__all__ = ["Located", "NoRevision", "file_of", "locate"]

_SECONDS: Final = 60.0
_DEEPEN: Final = "the clone is shallow: fetch more of it (`fetch-depth: 0` for actions/checkout)"


class NoRevision(Exception):
    """A revision can't be had; the text says why, and what to do."""


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Located:
    """A side: its main file, how its files are reached, and how they are shown: `prefix` before their names."""

    name: str
    file: str
    files: FileSystem
    prefix: str = ""


def locate(name: str, other: str) -> Located:
    """Where a side is.

    Args:
        name: `FILE`, `git:REV` or `REV:PATH` (`REV:./PATH` relative to the working folder); a file of that very name wins.
        other: the file of the other side, which `git:REV` stands for at its revision.

    Raises:
        NoRevision: there is no git, no repository, or no such revision.
    """
    if Path(name).exists() or ":" not in name:
        return Located(name=name, file=name, files=file_system())
    revision, _, path = name.partition(":")
    if revision == "git":
        return _in_git(path, other, name, is_named=False)
    return _in_git(revision, path, name, is_named=True)


def file_of(name: str, default: str) -> str:
    """The file that `git:REV` on the other side stands for: a plain file is itself, `REV:PATH` is the path."""
    if Path(name).exists() or ":" not in name:
        return name
    revision, _, path = name.partition(":")
    return default if revision == "git" else path


def _in_git(revision: str, path: str, name: str, *, is_named: bool) -> Located:
    if not revision or revision.startswith("-") or not path:
        hint = "write git:REV or REV:PATH, such as git:main or main:channels.yaml"
        raise NoRevision(f"{name} names no revision and no file; {hint}")
    # A path in `REV:PATH` is one of the repository, as git has it; a file of the other side may be anywhere.
    relative = is_named and not path.startswith(("./", "../"))
    folder = "." if is_named else os.path.dirname(path) or "."  # noqa: PTH120 - a name, not a file that is there
    repository = _Repository.at(folder if Path(folder).is_dir() else ".", revision)
    file = path if relative else repository.inside(path)
    files = FileSystem(read=repository.read, list_files=repository.list_files)
    return Located(name=name, file=posixpath.normpath(file), files=files, prefix=f"{revision}:")


@attrs.define(eq=False)
class _Repository:
    """One revision of one repository."""

    git: str
    root: str
    commit: str
    revision: str
    _names: list[str] | None = None

    @classmethod
    def at(cls, folder: str, revision: str) -> "_Repository":
        """The revision in the repository that a folder belongs to.

        Raises:
            NoRevision: as `locate`.
        """
        git = shutil.which("git")
        if git is None:
            raise NoRevision("git is not installed, and only git knows revisions")
        root = _run(git, folder, "rev-parse", "--show-toplevel")
        if root.returncode:
            raise NoRevision(f"no revision can be read here: {_said(root)}")
        top = os.fsdecode(root.stdout).rstrip("\n")
        commit = _run(git, top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if commit.returncode:
            raise NoRevision(_no_such(git, top, revision))
        return cls(git, top, commit.stdout.decode().strip(), revision)

    def inside(self, path: str) -> str:
        """A file's path in the repository.

        Raises:
            NoRevision: it lies outside.
        """
        # The folder's links are followed, since git gives the repository's real path; the file itself may be gone.
        folder = os.path.realpath(os.path.dirname(path) or ".")  # noqa: PTH120 - a name
        whole = os.path.join(folder, os.path.basename(path))  # noqa: PTH118, PTH119 - names
        relative = os.path.relpath(whole, self.root).replace(os.sep, "/")
        if relative.startswith("../"):
            raise NoRevision(f"{path} lies outside of the repository {self.root}")
        return relative

    def read(self, file: str) -> bytes:
        """A file's bytes at the revision.

        Raises:
            OSError: it is not there, or too large.
        """
        if file.startswith(("../", "/")):
            raise OSError(f"it lies outside of the repository, so not in {self.revision}")
        found = _run(self.git, self.root, "cat-file", "-s", f"{self.commit}:{file}")
        if found.returncode:
            raise OSError(f"there is no such file in {self.revision}{self._near(file)}")
        if int(found.stdout) > MAX_BYTES:
            raise OSError(f"it is over {MAX_BYTES // 1024**2} MiB")
        shown = _run(self.git, self.root, "show", "--no-textconv", f"{self.commit}:{file}")
        if shown.returncode:
            raise OSError(_said(shown))
        return shown.stdout

    def list_files(self, pattern: str) -> list[str]:
        """The files that match an include pattern: `*` within a name, `**` over folders, hidden ones only by a dot."""
        wanted = posixpath.normpath(pattern).split("/")
        return [name for name in self._all() if _matches(name.split("/"), wanted)]

    def _all(self) -> list[str]:
        if self._names is None:
            found = _run(self.git, self.root, "ls-tree", "-r", "--name-only", "-z", self.commit)
            self._names = os.fsdecode(found.stdout).rstrip("\0").split("\0")
        return self._names

    def _near(self, file: str) -> str:
        """A hint where a file of that name lies elsewhere in the revision."""
        name = posixpath.basename(file)
        same = [each for each in self._all() if posixpath.basename(each) == name]
        return f"; there is {self.revision}:{same[0]}" if same else ""


def _matches(name: list[str], wanted: list[str]) -> bool:
    if not wanted or not name:
        return not wanted and not name
    head, *tail = wanted
    if head == "**":
        deeper = not name[0].startswith(".") and _matches(name[1:], wanted)
        return _matches(name, tail) or deeper
    hidden = name[0].startswith(".") and not head.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name[0], head) and _matches(name[1:], tail)


def _no_such(git: str, root: str, revision: str) -> str:
    shallow = _run(git, root, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    if shallow:
        return f"there is no revision {revision} here; {_DEEPEN}"
    remote = _run(git, root, "rev-parse", "--verify", "--quiet", f"origin/{revision}^{{commit}}")
    if not remote.returncode:
        return f"there is no revision {revision} here; did you mean origin/{revision}?"
    return f"there is no revision {revision} here; `git fetch` it, or check its name"


def _said(done: "subprocess.CompletedProcess[bytes]") -> str:
    """The first line of git's own words."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else f"git ended with {done.returncode}"


def _run(git: str, folder: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Run git, which asks nobody for anything.

    Raises:
        NoRevision: it takes too long, or can't be started.
    """
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603 - git, and revisions that don't start with a dash
            [git, "-C", folder, *arguments],
            capture_output=True,
            check=False,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoRevision(f"git can't be asked: {problem}") from problem
