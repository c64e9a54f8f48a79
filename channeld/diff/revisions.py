"""Where each side of a comparison is read from: `FILE`, `git:REV` or `REV:PATH`.

Within a revision, paths are relative to the top of the repository, and every file that a configuration refers to is read
from that revision. Git only reads names and contents: nothing is checked out or fetched.
"""

import fnmatch
import os
import posixpath
import shutil
import subprocess
from pathlib import Path
from typing import Final

import attrs

from channeld.config.load import MAX_BYTES, file_system
from channeld.config.source import FileSystem
from channeld.plan.load import STDIN, with_stdin

_SECONDS: Final = 60.0
_DEEPEN: Final = "the clone is shallow: fetch its history (`fetch-depth: 0` for actions/checkout)"


class NoRevision(Exception):
    """A revision that cannot be read; the text says why, and what to do about it."""


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Located:
    """One side: its main file, how its files are read, and the `prefix` under which they are shown."""

    name: str
    file: str
    files: FileSystem
    prefix: str = ""


def locate(name: str, other: str) -> Located:
    """Find one side.

    Args:
        name: `FILE`, `-` (standard input), `git:REV` or `REV:PATH` (`REV:./PATH` is relative to the working folder). An existing file with that
            name takes precedence.
        other: the file on the other side, which is what `git:REV` reads at its revision.

    Raises:
        NoRevision: git is not installed, or there is no repository or no such revision.
    """
    if name == "-":
        return Located(name=STDIN, file=STDIN, files=with_stdin())
    if Path(name).exists() or ":" not in name:
        return Located(name=name, file=name, files=file_system())
    revision, _, path = name.partition(":")
    if revision == "git":
        return _in_git(path, other, name, is_named=False)
    return _in_git(revision, path, name, is_named=True)


def file_of(name: str, default: str) -> str:
    """The file that `git:REV` on the other side reads: a file itself, or the path of `REV:PATH`."""
    if name == "-":
        return default
    if Path(name).exists() or ":" not in name:
        return name
    revision, _, path = name.partition(":")
    return default if revision == "git" else path


def _in_git(revision: str, path: str, name: str, *, is_named: bool) -> Located:
    if not revision or revision.startswith("-") or not path:
        hint = "write git:REV or REV:PATH, such as git:main or main:channels.yaml"
        raise NoRevision(f"{name} is neither a file nor a revision; {hint}")
    # As in git, `REV:PATH` starts at the top of the repository; the other side's file is relative to the working folder.
    relative = is_named and not path.startswith(("./", "../"))
    folder = "." if is_named else os.path.dirname(path) or "."  # noqa: PTH120 - a name; the file may not exist
    repository = _Repository.at(folder if Path(folder).is_dir() else ".", revision)
    file = path if relative else repository.inside(path)
    files = FileSystem(read=repository.read, list_files=repository.list_files)
    return Located(name=name, file=posixpath.normpath(file), files=files, prefix=f"{revision}:")


@attrs.define(eq=False)
class _Repository:
    """A commit in a repository."""

    git: str
    root: str
    commit: str
    revision: str
    _names: list[str] | None = None

    @classmethod
    def at(cls, folder: str, revision: str) -> "_Repository":
        """Resolve a revision in the repository that contains a folder.

        Raises:
            NoRevision: as `locate`.
        """
        git = shutil.which("git")
        if git is None:
            raise NoRevision("git is not installed; it is needed to read revisions")
        root = _run(git, folder, "rev-parse", "--show-toplevel")
        if root.returncode:
            raise NoRevision(f"revisions cannot be read here: {_error(root)}")
        top = os.fsdecode(root.stdout).rstrip("\n")
        commit = _run(git, top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if commit.returncode:
            raise NoRevision(_no_such(git, top, revision))
        return cls(git, top, commit.stdout.decode().strip(), revision)

    def inside(self, path: str) -> str:
        """A file's path relative to the top of the repository.

        Raises:
            NoRevision: the file is outside the repository.
        """
        # Symbolic links of the folder are resolved because git reports the repository's real path. The file may be gone.
        folder = os.path.realpath(os.path.dirname(path) or ".")  # noqa: PTH120 - a name
        whole = os.path.join(folder, os.path.basename(path))  # noqa: PTH118, PTH119 - names
        relative = os.path.relpath(whole, self.root).replace(os.sep, "/")
        if relative.startswith("../"):
            raise NoRevision(f"{path} is outside the repository {self.root}")
        return relative

    def read(self, file: str) -> bytes:
        """The contents of a file at the revision.

        Raises:
            OSError: the file does not exist there, or is too large.
        """
        if file.startswith(("../", "/")):
            raise OSError(f"it is outside the repository, so {self.revision} does not contain it")
        found = _run(self.git, self.root, "cat-file", "-s", f"{self.commit}:{file}")
        if found.returncode:
            raise OSError(f"there is no such file in {self.revision}{self._near(file)}")
        if int(found.stdout) > MAX_BYTES:
            raise OSError(f"it is over {MAX_BYTES // 1024**2} MiB")
        shown = _run(self.git, self.root, "show", "--no-textconv", f"{self.commit}:{file}")
        if shown.returncode:
            raise OSError(_error(shown))
        return shown.stdout

    def list_files(self, pattern: str) -> list[str]:
        """The files that match an include pattern: `*` within a name, `**` across folders, hidden files only by a leading dot."""
        wanted = posixpath.normpath(pattern).split("/")
        return [name for name in self._all() if _matches(name.split("/"), wanted)]

    def _all(self) -> list[str]:
        if self._names is None:
            found = _run(self.git, self.root, "ls-tree", "-r", "--name-only", "-z", self.commit)
            self._names = os.fsdecode(found.stdout).rstrip("\0").split("\0")
        return self._names

    def _near(self, file: str) -> str:
        """A hint if the revision has a file with this name in another folder."""
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
        return f"revision {revision} not found; {_DEEPEN}"
    remote = _run(git, root, "rev-parse", "--verify", "--quiet", f"origin/{revision}^{{commit}}")
    if not remote.returncode:
        return f"revision {revision} not found; did you mean origin/{revision}?"
    return f"revision {revision} not found; `git fetch` it, or check its name"


def _error(done: "subprocess.CompletedProcess[bytes]") -> str:
    """The first line of git's error message."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else f"git exited with {done.returncode}"


def _run(git: str, folder: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Run git without prompts.

    Raises:
        NoRevision: git cannot be started, or takes too long.
    """
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603 - git, with revisions that do not start with a dash
            [git, "-C", folder, *arguments],
            capture_output=True,
            check=False,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoRevision(f"git cannot be run: {problem}") from problem
