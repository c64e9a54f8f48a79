"""The figures that channeld holds itself to, checked against what one bench run measured."""

from collections.abc import Callable
from dataclasses import dataclass

Middle = Callable[[str, str], float | None]
Ratio = Callable[[str, str, str], float | None]
Growth = Callable[[str, str], list[tuple[float, float]]]
PEERS = (
    "websockets",
    "websockets-uvloop",
    "starlette",
    "starlette-wsproto",
    "channels",
    "python-socketio",
    "trio-websocket",
    "picows",
    "nchan",
    "nats",
    "ws",
    "socket.io",
)
FLAT = 1.25  # caches are finite: a quarter more over the whole range still counts as flat


@dataclass(frozen=True)
class Target:
    """One target; `value` is None when the run did not measure what it needs."""

    work: str
    text: str
    value: float | None
    met: bool

    @property
    def verdict(self) -> str:
        return "not measured" if self.value is None else "yes" if self.met else "**no**"


def at_most(work: str, text: str, value: float | None, bound: float) -> Target:
    return Target(work, text, value, value is not None and value <= bound)


def at_least(work: str, text: str, value: float | None, bound: float) -> Target:
    return Target(work, text, value, value is not None and value >= bound)


def growth_of(points: list[tuple[float, float]], first: float) -> float | None:
    """The last value over the one at `first` (or the next after it)."""
    later = [value for x, value in points if x >= first]
    return later[-1] / later[0] if len(later) > 1 else None


def against_floor(growth: Growth, kind: str, first: float) -> float | None:
    """channeld's growth, less what the same kernel costs the C floor in the same run."""
    own = growth_of(growth("channeld", kind), first)
    floor = growth_of(growth("c-floor-turn", kind), first)
    return own / max(floor, 1.0) if own and floor else own


def cheapest_rival(ratio: Ratio, key: str) -> float | None:
    """channeld's cost over the cheapest peer's; uWebSockets and the floors are not meant."""
    known = [found for name in PEERS if (found := ratio("channeld", name, key)) is not None]
    return max(known) if known else None


def message_targets(middle: Middle, ratio: Ratio) -> list[Target]:
    """Echo and fan-out."""
    echo, one, twenty = "echo, W=1", "delivery, W=1", "delivery, W=20"
    validating = ratio("trio-websocket-validated", "channeld", echo)
    websockets, starlette = (ratio("channeld", name, echo) for name in ("websockets", "starlette"))
    nchan, rival = ratio("channeld", "nchan", one), cheapest_rival(ratio, twenty)
    own = middle("channeld", twenty)
    return [
        at_least("validated echo", "9 times trio-websocket that validates", validating, 9),
        at_most("validated echo", "under 0.6 of `websockets`", websockets, 0.6),
        at_most("validated echo", "under 0.6 of Starlette", starlette, 0.6),
        at_most("fan-out, W=1", "at most 1.1 times Nchan's µs per delivery", nchan, 1.1),
        at_most("fan-out, W=20", "under 0.25 µs per delivery", own, 0.25),
        at_most("fan-out, W=20", "below every peer but uWebSockets (times the cheapest)", rival, 1),
    ]


def capacity_targets(middle: Middle, ratio: Ratio, growth: Growth) -> list[Target]:
    """Connecting, memory and growth; growth is times the first, less the C floor's own in the same run."""
    connect = ratio("channeld", "websockets", "connect")
    memory = middle("channeld", "idle memory")
    members = against_floor(growth, "members", 100)
    connections = against_floor(growth, "connections", 0)
    return [
        at_most("connect with a JWT", "half of `websockets` without one", connect, 0.5),
        at_most("memory", "at most 4 KiB per idle connection", memory, 4),
        at_most("growth", "µs per delivery flat, 100 to 10,000 members", members, FLAT),
        at_most("growth", "µs per connect flat, to 20,000 connections", connections, FLAT),
    ]


def targets(*, middle: Middle, ratio: Ratio, growth: Growth) -> list[Target]:
    """Every target with what was measured."""
    return message_targets(middle, ratio) + capacity_targets(middle, ratio, growth)
