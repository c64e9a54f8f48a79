"""`channeld test --fuzz`: calls message hooks with generated messages, and shows the results."""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import attrs
import click
import orjson

from channeld.cli.loading import DEFAULT_FILE, demand_valid
from channeld.cli.output import has_colour
from channeld.diagnostics.render.painter import Painter
from channeld.plan.load import check
from channeld.scenarios.fuzz import Fuzzed, fuzz
from channeld.scenarios.outcome import Status
from channeld.scenarios.suite import Options
from channeld.scenarios.text import verdict
from channeld.suggest import did_you_mean
from channeld.telemetry import one_line


def parse_backends(
    ctx: click.Context, param: click.Parameter, written: Sequence[str]
) -> Mapping[str, str]:
    """The URLs of `--backend NAME=URL`, by name."""
    found: dict[str, str] = {}
    for one in written:
        name, _, url = one.partition("=")
        parts = urlsplit(url)
        if not name or parts.scheme not in ("http", "https") or not parts.hostname:
            words = f"'{one}' is not NAME=URL, with a URL such as http://127.0.0.1:8000"
            raise click.BadParameter(words, ctx, param)
        if name in found:
            raise click.BadParameter(f"backend '{name}' has two URLs", ctx, param)
        found[name] = url
    return found


def demand_backends(known: Collection[str], given: Iterable[str], nobody_has: str) -> None:
    """Fail for a given backend that is not known, so that it would never be called."""
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"there are {', '.join(sorted(known)) or 'none'}"
            raise click.UsageError(f"{nobody_has} backend '{name}': {hint}")


def fuzz_hooks(files: Sequence[str], count: int, format: str, options: Options) -> int:
    """Call each message hook of a configuration with `count` messages; returns 1 if one raised.

    Raises:
        click.ClickException: the configuration is not valid, or cannot be read.
    """
    if len(files) > 1:
        raise click.UsageError("--fuzz takes one configuration")
    if format not in ("text", "json"):
        raise click.UsageError(f"--fuzz has no format {format}: text or json")
    checked = check(files[0] if files else DEFAULT_FILE)
    plan = demand_valid(checked)
    demand_backends(plan.config.backends, options.backends, f"{checked.file} has no")
    found = []
    painter = Painter(has_colour(sys.stdout))
    for one in fuzz(plan, count, options=options):
        found.append(one)
        if format == "text":
            click.echo(_shown(one, painter))
    if format == "json":
        listed = [attrs.asdict(one) for one in found]
        click.echo(orjson.dumps({"version": 1, "hooks": listed}, option=orjson.OPT_INDENT_2))
    elif not found:
        click.echo("there are no message hooks to try")
    return 1 if any(one.failure is not None for one in found) else 0


def _shown(one: Fuzzed, painter: Painter) -> str:
    name = f"{one.channel}/{one.message}  {one.hook}"
    if one.reason:
        return f"{verdict(painter, Status.SKIP)} {name}: not tried, {one.reason}"
    sent = f"{one.sent} message{'s' * (one.sent != 1)}"
    if one.failure is None:
        return f"{verdict(painter, Status.PASS)} {name}: {sent}"
    failure = one.failure
    lines = [f"{verdict(painter, Status.FAIL)} {name}: {failure.words}"]
    if failure.at:
        lines.append(f"  at    {failure.at}")
    lines.append(f"  for   {one_line(dict(failure.frame))}")
    lines.append(f"  after {sent}")
    if failure.scenario:
        lines += ["  as a scenario:", ""]
        lines += [f"    {line}" for line in failure.scenario.splitlines()]
        lines.append("")
    return "\n".join(lines)
