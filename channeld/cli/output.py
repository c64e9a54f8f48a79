"""What commands share in showing results: colour or not, and the error for what cannot be read."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

__all__ = ["Unreadable", "has_colour", "one_document"]


class Unreadable(click.ClickException):
    """A file or folder that cannot be read (exit 2)."""

    exit_code = 2


def has_colour(stream: TextIO) -> bool:
    """Whether a stream shows colours: it is a terminal, and `NO_COLOR` is unset or empty (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


@contextmanager
def one_document(key: str, *, as_json: bool) -> Iterator[None]:
    """Where a command ends early, print the document that its reader waits for: an `error`, and nothing under `key`."""
    try:
        yield
    except click.exceptions.Exit:
        raise  # what was to be shown has been
    except (
        Exception
    ) as error:  # a bug of ours as well: anyone who parses the output still gets one document
        if as_json:
            reason = error.message if isinstance(error, click.ClickException) else "internal error"
            click.echo(json.dumps({"version": 1, "error": reason, key: []}, indent=2))
        raise
