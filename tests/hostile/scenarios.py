"""The table of attacks: how large in the tests and in the soak, and what an attacker may and must be answered."""

from collections.abc import Callable

import attrs

from tests.hostile import floods, handshakes
from tests.hostile.ground import Ground
from tests.hostile.wire import Answers

Attack = Callable[[Ground, int], Answers]


@attrs.frozen(slots=True, kw_only=True)
class Scenario:
    """An attack. `must` are answers that have to occur, `may` others that can; `growth` is in MiB, `lines` of the log.

    `brisk` attacks are about waiting, and in the tests are made where it takes a second.
    """

    name: str
    attack: Attack
    short: int
    long: int
    must: frozenset[str]
    may: frozenset[str] = frozenset()
    growth: float = 30.0
    lines: int = 50
    brisk: bool = False

    def judge(self, answers: Answers) -> list[str]:
        """What was answered against the documents."""
        got = set(answers)
        missing = [f"{self.name}: nobody got {answer!r}" for answer in sorted(self.must - got)]
        surplus = [f"{self.name}: {a!r} is no answer" for a in sorted(got - self.must - self.may)]
        return missing + surplus


def _row(
    attack: Attack, sizes: tuple[int, int], must: str, may: str = "", **more: float
) -> Scenario:
    return Scenario(
        name=attack.__name__.replace("_", " "),
        attack=attack,
        short=sizes[0],
        long=sizes[1],
        must=frozenset(must.split(", ")),
        may=frozenset(may.split(", ")) if may else frozenset(),
        **more,  # type: ignore[arg-type]
    )


_OPEN = "HTTP 101"
SCENARIOS = (
    _row(floods.tiny_frames, (20_000, 1_000_000), "HTTP 101, echo, RATE_LIMITED, close 1000, end"),
    _row(floods.tiny_frames_unread, (400_000, 400_000), "HTTP 101, echo", "RATE_LIMITED, close 4508, end, reset"),
)
