"""`python -m tests.chaos --seconds 300 --seed 7`: a storm, and what the checker says of it."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

import trio

from tests.chaos.checker import check
from tests.chaos.storm import Between, raise_storm


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="for the histories; kept")
    between = parser.add_mutually_exclusive_group()
    between.add_argument("--shards", type=int, default=1, help="servers between the nodes")
    between.add_argument("--cluster", action="store_true", help="a cluster between them")
    parser.add_argument(
        "--skew",
        type=float,
        default=0.0,
        help="seconds between the nodes' clocks; needs libfaketime",
    )
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}, histories in {folder}")
    with tempfile.TemporaryDirectory(prefix="cd-") as place:
        storm = (folder, Path(place), options.seed, options.seconds, options.clients)
        trio.run(raise_storm, *storm, Between(options.shards, options.cluster, options.skew))
    found = check(folder)
    print(
        f"{found.heard} frames heard, {found.acked} acknowledged, {found.recovered} recoveries, "
        f"{found.told} told that frames are missing"
    )
    for problem in found.problems[:50]:
        print(f"PROBLEM {problem}")
    print(f"{len(found.problems)} problems")
    return 1 if found.problems else 0


sys.exit(main())
