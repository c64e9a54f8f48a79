"""Writes scenario files: one client, one step per line, everything in flow style."""

from collections.abc import Iterable, Mapping

from channeld.config.writing import flow
from channeld.protocol.frames import Json


def scenario_text(
    name: str,
    clients: Mapping[str, Mapping[str, Json]],
    steps: Iterable[str],
    *,
    config: str = "",
    ignore: Iterable[Json] = (),
) -> str:
    """The text of a file with one scenario.

    Each step is one line without its dash; comments start with `#`. `config` is relative to the file, and empty for the nearest
    `channels.yaml`. Frames that match a pattern in `ignore` need not be consumed.
    """
    lines = [f"config: {flow(config)}"] if config else []
    lines += ["scenarios:", f"  - name: {flow(name)}"]
    ignored = list(ignore)
    lines += [f"    ignore: {flow(ignored)}"] if ignored else []
    lines.append("    clients:")
    lines += [f"      {client}: {flow(dict(spec))}" for client, spec in clients.items()]
    listed = [f"      {'' if step.startswith('#') else '- '}{step}" for step in steps]
    empty = all(step.startswith("#") for step in map(str.strip, listed))
    lines += [f"    steps:{' []' * empty}", *listed]
    return "\n".join(lines) + "\n"
