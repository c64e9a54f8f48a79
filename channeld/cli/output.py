"""What commands share in showing results: colour or not, and the error for what cannot be read."""

import os
from typing import TextIO

import click

__all__ = ["Unreadable", "has_colour"]


class Unreadable(click.ClickException):
    """A file or folder that cannot be read (exit 2)."""

    exit_code = 2


def has_colour(stream: TextIO) -> bool:
    """Whether a stream shows colours: it is a terminal, and `NO_COLOR` is unset or empty (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
