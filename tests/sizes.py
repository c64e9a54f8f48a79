"""How long the package's modules are: `python -m tests.sizes` reports the long ones, `tests/test_house.py` refuses the longest."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
WORTH_A_LOOK = 400
LONGEST_MODULE = 600


def long_modules(over: int) -> dict[str, int]:
    """Lines of each module that has more than `over`, the longest first."""
    lines = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in (ROOT / "channeld").rglob("*.py")
    }
    return dict(sorted(((n, c) for n, c in lines.items() if c > over), key=lambda row: -row[1]))


if __name__ == "__main__":
    for name, count in long_modules(WORTH_A_LOOK).items():
        print(f"{count} lines, worth a look: {name}")
