"""Reads what clients wrote down, and says what should not have been.

Of each room: every position is one frame, the same for everybody. Of each client: from the position that it was given
on, it heard every frame in order and once, also over its reconnects, unless it was told `recovered: false`: then on from
the position told. Every acknowledged frame is in the room's history once, behind those acknowledged before it was sent.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

Event = dict[str, Any]


@attrs.frozen
class Place:
    """A position, taken apart."""

    epoch: str
    offset: int

    @classmethod
    def of(cls, text: str) -> "Place":
        epoch, _, offset = text.rpartition("-")
        return cls(epoch, int(offset, 16))


@attrs.define
class Findings:
    """What is wrong, and how much was looked at."""

    problems: list[str] = attrs.field(factory=list)
    heard: int = 0
    acked: int = 0
    recovered: int = 0
    told: int = 0


def check(folder: Path) -> Findings:
    """Check a storm's folder."""
    found = Findings()
    truth = json.loads(folder.joinpath("truth.json").read_text())
    frames: dict[tuple[str, str], tuple[str, int]] = {}
    for path, room in truth["rooms"].items():
        for frame in room["frames"]:
            frames[path, frame["pos"]] = (frame["from"], frame["n"])
        if room["present"] != room["inside"]:
            found.problems.append(f"{path}: present is {room['present']}, not {room['inside']}")
    for file in sorted(folder.glob("*.jsonl")):
        events = [json.loads(line) for line in file.read_text().splitlines()]
        path = events[0]["path"]
        kept = {value: pos for (where, pos), value in frames.items() if where == path}
        complaints = [*_agreement(path, events, frames), *_order(events, found)]
        if path.startswith("/long"):
            complaints += _acknowledged(file.stem, events, kept, found)
        found.problems += [f"{file.stem}: {complaint}" for complaint in complaints]
    found.problems += list(_twice(frames))
    before, after = truth["descriptors"]
    if any(now > then + 2 for then, now in zip(before, after, strict=True)):
        found.problems.append(f"descriptors grew from {before} to {after}")
    return found


def _agreement(
    path: str, events: list[Event], frames: dict[tuple[str, str], tuple[str, int]]
) -> Iterator[str]:
    for event in events:
        if event["event"] == "heard":
            value = (event["who"], event["n"])
            known = frames.setdefault((path, event["pos"]), value)
            if known != value:
                yield f"at {event['pos']} it heard {value}, others {known}"


def _order(events: list[Event], found: Findings) -> Iterator[str]:
    """No gap and nothing twice, but where it was told."""
    last: Place | None = None
    fresh = True
    for event in events:
        if event["event"] == "open":
            fresh = True
        elif event["event"] == "subscribed":
            if fresh and event["recovered"]:
                found.recovered += 1  # go on from what was heard last
            else:
                found.told += event["recovered"] is False
                if last is not None and event["recovered"] is None:
                    yield f"it was not told whether it recovered after {last}"
                last = Place.of(event["pos"]) if event["pos"] else None
            fresh = False
        elif event["event"] == "heard":
            found.heard += 1
            here = Place.of(event["pos"])
            # Offsets go on when another run of Redis opens another epoch.
            if last is not None and (here.offset != last.offset + 1 or here.epoch < last.epoch):
                yield f"it heard {here} after {last}"
            last = here


def _acknowledged(
    name: str, events: list[Event], kept: dict[tuple[str, int], str], found: Findings
) -> Iterator[str]:
    newest = ""
    floor: dict[int, str] = {}
    for event in events:
        if event["event"] == "sent":
            floor[event["n"]] = newest
        elif event["event"] == "acked":
            found.acked += 1
            pos = kept.get((name, event["n"]))
            if pos is None:
                yield f"{event['n']} was acknowledged and is nowhere"
            elif pos <= floor[event["n"]]:
                yield f"{event['n']} at {pos} stands before what was acknowledged earlier"
            else:
                newest = max(newest, pos)


def _twice(frames: dict[tuple[str, str], tuple[str, int]]) -> Iterator[str]:
    seen: dict[tuple[str, str, int], str] = {}
    for (path, pos), (who, n) in sorted(frames.items()):
        first = seen.setdefault((path, who, n), pos)
        if first != pos:
            yield f"{path}: {n} of {who} is there twice, at {first} and {pos}"
