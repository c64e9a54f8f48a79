"""Output shared by commands: colour, JSON documents, and the error for unreadable files."""

import difflib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import click


class Unreadable(click.ClickException):
    """A file or folder that cannot be read (exit 2)."""

    exit_code = 2


def has_colour(stream: TextIO) -> bool:
    """Whether to use colours: a terminal that knows them, and `NO_COLOR` is unset or empty (no-color.org)."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not is_plain


class JsonCommand(click.Command):
    """A command that, with `--format json`, prints one JSON document whatever happens.

    If it fails, even before it is called, the document has an `error`. `empty` gives its other fields: names of arguments
    stand for their values, anything else is used as it is.
    """

    def __init__(self, *args: object, empty: Mapping[str, object], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._empty = empty

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """As in click; a refused option also gives a document."""
        as_json = "--json" in args or "--format=json" in args or "--format json" in " ".join(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if as_json:
                self._tell(error, {})
            raise

    def invoke(self, ctx: click.Context) -> object:
        """As in click; an exception, even a bug, also gives a document."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            formats = (ctx.params.get("format"), ctx.params.get("as_json"))
            if formats in (("json", None), (None, True)):
                self._tell(error, ctx.params)
            raise

    def _tell(self, error: Exception, given: Mapping[str, object]) -> None:
        reason = "internal error"
        if isinstance(error, click.ClickException):
            reason = error.format_message()
        elif isinstance(error, OSError) and isinstance(error.filename, str):
            reason = f"{error.filename}: {error.strerror}"
        rest = {key: given.get(key, empty) for key, empty in self._empty.items()}
        click.echo(json.dumps({"version": 1, "error": reason, **rest}, indent=2))


def compare(file: Path, there: str, text: str, refusal: str) -> int:
    """Compare a file with the expected text and show the difference; returns the exit status."""
    if there == text:
        click.echo(f"{file} is up to date", err=True)
        return 0
    was, now = there.splitlines(keepends=True), text.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(was, now, str(file), "now"))
    click.ClickException(refusal).show()
    return 1
