"""Writes the reference pages from the tables that the server itself reads.

    python docs/reference/generate.py            writes what has changed
    python docs/reference/generate.py --check    only says what would change, and ends with 1

Whole pages (`config.md`, `diagnostics.md`, `cli.md`, `twelve-mistakes.md` and its picture, the manual pages and the bill of materials) are made here. In the others
only the parts between `<!-- begin: NAME -->` and `<!-- end: NAME -->` are; what stands around them is written by hand.
"""

import re
import sys
from collections.abc import Callable, Mapping

import click
from pages import (
    architecture,
    commands,
    configuration,
    control_api,
    diagnostics,
    diff,
    hooks,
    man,
    mistakes,
    sbom,
    telemetry,
    walk,
    wire,
)
from pages.markdown import HERE


def pages_of(folder: str) -> Callable[[], str]:
    """A list of the pages in a folder of `docs/`, by their headings."""

    def listed() -> str:
        paths = sorted((HERE.parent / folder).glob("*.md"))
        heads = [path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for path in paths]
        return "\n".join(
            f"- [{head}]({folder}/{path.name})" for head, path in zip(heads, paths, strict=True)
        )

    return listed


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "../../ARCHITECTURE.md": {"imports": architecture.imports_drawing},
    "../README.md": {name: pages_of(name) for name in ("topics", "decisions")},
    "wire.md": {
        "sent-frames": wire.sent_frames,
        "received-frames": wire.received_frames,
        "reserved": wire.reserved_types,
        "error-codes": wire.error_codes,
        "close-codes": wire.close_codes,
        "http-answers": wire.http_answers,
    },
    "hooks.md": {
        "reads": hooks.context_reads,
        "verbs": hooks.context_verbs,
        "sync-verbs": hooks.sync_verbs,
        "values": hooks.hook_values,
    },
    "control-api.md": {
        "requests": control_api.api_requests,
        "bodies": control_api.api_bodies,
        "statuses": control_api.api_statuses,
    },
    "logs-and-metrics.md": {"events": telemetry.log_events, "metrics": telemetry.metrics},
    "README.md": {"commands": commands.command_names},
    "../guides/diff.md": {"unjudged": diff.unjudged_keys},
}


def with_parts(name: str) -> str:
    """A page written by hand, with its generated parts regenerated.

    Raises:
        ValueError: a part has no place in the page, or a place has no part.
    """
    text = (HERE / name).read_text(encoding="utf-8")
    places = re.findall(r"<!-- begin: ([\w-]+) -->", text)
    if sorted(places) != sorted(PARTS[name]):
        raise ValueError(f"{name} has places for {places}, and the parts are {list(PARTS[name])}")
    for part, make in PARTS[name].items():
        begin, end = f"<!-- begin: {part} -->\n", f"<!-- end: {part} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + make() + "\n" + end + rest.partition(end)[2]
    return text


PAGES: Mapping[str, Callable[[], str]] = {
    "config.md": configuration.config_page,
    "diagnostics.md": diagnostics.diagnostics_page,
    "cli.md": commands.cli_page,
    "twelve-mistakes.md": mistakes.twelve_page,
    "twelve-mistakes.svg": mistakes.twelve_picture,
    "../sbom.cdx.json": sbom.sbom,
    **{f"../man/{name}": lambda text=text: text for name, text in man.man_pages().items()},  # type: ignore[misc]
    "../guides/from-mistake-access.svg": walk.access_picture,
    "../guides/from-mistake-trace.svg": walk.trace_picture,
    **{name: lambda name=name: with_parts(name) for name in PARTS},  # type: ignore[misc]
}


def outdated() -> dict[str, str]:
    """The pages that differ from what they should be, with what they should be."""
    wanted = {name: make() for name, make in PAGES.items()}
    return {name: text for name, text in wanted.items() if current(name) != text}


def current(name: str) -> str:
    """A page as it is, empty where there is none."""
    path = HERE / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> int:
    """Write the pages that differ, or with `--check` only name them."""
    different = outdated()
    for name, text in different.items():
        click.echo(
            f"docs/reference/{name} {'is out of date' if '--check' in sys.argv else 'written'}"
        )
        if "--check" not in sys.argv:
            (HERE / name).write_text(text, encoding="utf-8")
    return 1 if different and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
