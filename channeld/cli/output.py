"""What commands share in showing results: colour or not, and the error for what cannot be read."""

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
    """Whether a stream shows colours: it is a terminal, and `NO_COLOR` is unset or empty (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


class JsonCommand(click.Command):
    """A command that prints one JSON document whatever happens, where JSON is asked for.

    Where it ends early, and where it is not even called, the document has an `error`; `empty` says what else is in it:
    an argument of the command under its own name, anything else as it is.
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
        """As click does; an option that it refuses is also told in a document."""
        as_json = "--json" in args or "--format=json" in args or "--format json" in " ".join(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if as_json:
                self._tell(error, {})
            raise

    def invoke(self, ctx: click.Context) -> object:
        """As click does; what is raised is also told in a document, a bug of ours as well."""
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
        rest = {key: given.get(key, empty) for key, empty in self._empty.items()}
        click.echo(json.dumps({"version": 1, "error": reason, **rest}, indent=2))


def compare(file: Path, there: str, text: str, refusal: str) -> int:
    """Say whether a file has the text that it should have, and how it differs; the exit status."""
    if there == text:
        click.echo(f"{file} is up to date", err=True)
        return 0
    was, now = there.splitlines(keepends=True), text.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(was, now, str(file), "now"))
    click.ClickException(refusal).show()
    return 1
