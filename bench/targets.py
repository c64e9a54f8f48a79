"""The figures that channeld holds itself to, checked against what one bench run measured."""

from collections.abc import Callable
from dataclasses import dataclass

Middle = Callable[[str, str, str], float | None]
Ratio = Callable[[str, str, str], float | None]
Curve = Callable[[str, str], list[tuple[float, float]]]
OPENSSL_KIB = 13.6  # what OpenSSL 3.0 allocates for a connection (docs/topics/memory.md)
FLAT = 1.25  # caches are finite: a quarter more over the whole range still counts as flat


@dataclass(frozen=True)
class Target:
    """One target; `value` is None when the run did not measure what it needs, `floor` what nothing could be under."""

    work: str
    text: str
    value: float | None
    most: float
    floor: float | None = None

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.value <= self.most:
            return "yes"
        return "**no**: the floor is over it" if (self.floor or 0) > self.most else "**no**"


@dataclass(frozen=True)
class Figures:
    """Looks up what was measured; `compiled` is the name of the compiled build, if it was."""

    middle: Middle
    ratio: Ratio
    curve: Curve
    compiled: str | None

    def against(self, rival: str, most: float, work: str, text: str, bare: str = "") -> Target:
        """CPU of a work over a rival's; the floor is that of a server in `bare`."""
        floor = self.ratio(bare, rival, work) if bare else None
        return Target(
            text, f"at most {most} of {rival}", self.ratio("channeld", rival, work), most, floor
        )

    def growth(self, kind: str, first: float) -> float | None:
        """channeld's growth from `first` on, less what the same kernel costs the C floor in the same run."""
        own = growth_of(self.curve("channeld", kind), first)
        floor = growth_of(self.curve("c-floor-turn", kind), first)
        return own / max(floor, 1.0) if own and floor else own


def growth_of(points: list[tuple[float, float]], first: float) -> float | None:
    """The last value over the one at `first` (or the next after it)."""
    later = [value for x, value in points if x >= first]
    return later[-1] / later[0] if len(later) > 1 else None


def message_targets(it: Figures) -> list[Target]:
    """Echo and fan-out."""
    plain, c = "python-floor-turn", "c-floor-turn"
    compiled = it.ratio(it.compiled, "picows", "echo_1") if it.compiled else None
    return [
        it.against("starlette", 0.55, "echo_1", "validated echo, W=1", plain),
        Target(
            "validated echo, W=1, compiled build",
            "at most 1.1 of picows",
            compiled,
            1.1,
            it.ratio(plain, "picows", "echo_1"),
        ),
        it.against(c, 1.3, "echo_8", "validated echo, W=8", plain),
        it.against(
            "starlette", 0.5, "event", "echo of a nested 3 KB event (Starlette only parses)"
        ),
        it.against("nchan", 1.0, "fan_1", "delivery, W=1", plain),
        it.against(c, 1.1, "fan_20", "delivery, W=20", plain),
        it.against("websockets", 0.65, "tls_echo_1", "echo over TLS, W=1"),
        it.against("websockets", 0.65, "tls_fan_1", "delivery over TLS, W=1"),
    ]


def capacity_targets(it: Figures) -> list[Target]:
    """Connecting, memory and growth."""
    plain, secure = (it.middle("channeld", work, "kib") for work in ("open", "tls_open"))
    joining = it.middle("channeld", "join_4000", "us")
    return [
        it.against("websockets", 0.6, "new", "connect with a JWT (`websockets` without)"),
        it.against("websockets", 0.5, "again", "the same JWT again (`websockets` without)"),
        Target("memory of an idle connection", "at most 2.5 KiB", plain, 2.5),
        Target("the same over TLS", "at most 14 KiB", secure, 14, (plain or 0) + OPENSSL_KIB),
        Target(
            "CPU per delivery, 10,000 members",
            f"at most {FLAT} of 100",
            it.growth("members", 100),
            FLAT,
        ),
        Target(
            "CPU per connect, 20,000 open",
            "at most 1.2 of the first 1,000",
            it.growth("connections", 0),
            1.2,
        ),
        Target("joining a room of 4,000 with presence", "at most 2,000 µs", joining, 2000),
    ]


def targets(it: Figures) -> list[Target]:
    """Every target with what was measured."""
    return message_targets(it) + capacity_targets(it)
