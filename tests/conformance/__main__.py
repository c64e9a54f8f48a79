"""Plays all 517 Autobahn cases and writes `docs/conformance.md`; fails if a case does. `python -m tests.conformance`."""

import sys
from pathlib import Path

import trio

from tests.conformance.suite import PATHS, Result, play
from tests.made import made

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
GROUPS = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Closing",
    "9": "Limits and performance",
    "10": "Miscellaneous",
    "12": "Compression: payloads",
    "13": "Compression: parameters",
}
VERDICTS = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED", "ERROR")
GOOD = {"OK", "INFORMATIONAL"}
HEAD = """\
# Conformance

Every case of the [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite), played by
[kosoku](https://pypi.org/project/kosoku/) against an echo server on channeld's server layer. `make test` plays the short
groups over every path again.

`INFORMATIONAL` cases ask what the RFC leaves open. Compression is the same code on every path, so its 216 cases are played
in the lane only. channeld itself refuses binary messages (close 1003); here, and only here, they are echoed.
"""


def count(results: list[Result], group: str) -> list[int]:
    verdicts = [verdict for case, verdict, _ in results if case.partition(".")[0] == group]
    return [verdicts.count(verdict) for verdict in VERDICTS]


def render(played: dict[str, list[Result]]) -> str:
    lines = [HEAD, made("make conformance")]
    for path, results in played.items():
        lines += [f"\n## {path}: {len(results)} cases\n", f"| group | {' | '.join(VERDICTS)} |"]
        lines.append("|---" * (len(VERDICTS) + 1) + "|")
        for group, name in GROUPS.items():
            counts = count(results, group)
            if any(counts):
                lines.append(f"| {group} {name} | {' | '.join(str(n or '') for n in counts)} |")
        totals = [sum(count(results, group)[i] for group in GROUPS) for i in range(len(VERDICTS))]
        lines.append(f"| all | {' | '.join(str(n or '') for n in totals)} |")
        unclean = sorted({case for case, _, closing in results if closing not in GOOD})
        lines.append(f"\nClosing handshakes that were not clean: {', '.join(unclean) or 'none'}.")
    return "\n".join(lines) + "\n"


def main() -> int:
    played = {}
    for path in PATHS:
        exclude = [] if path == "lane" else ["12.*", "13.*"]
        played[path] = trio.run(play, path, None, exclude)
        bad = [one for one in played[path] if not {one[1], one[2]} <= GOOD]
        print(f"{path}: {len(played[path])} cases, {len(bad)} not passed {bad or ''}")
    PAGE.write_text(render(played))
    return any(not {one[1], one[2]} <= GOOD for results in played.values() for one in results)


if __name__ == "__main__":
    sys.exit(main())
