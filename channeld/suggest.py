"""What was probably meant: the nearest of the legal names to a misspelt one, and the help that says so."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

# Longer names are cut: the time that a comparison takes grows with both lengths.
_LONGEST: Final = 64
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def candidates(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> list[str]:
    """Up to three of `names` that `name` may be a typo of, the nearest first. `-` and `_`, and case, do not count."""
    known = {folded(known): known for known in reversed(list(names))}
    return [known[near] for near in difflib.get_close_matches(folded(name), known, 3, cutoff)]


def closest(
    name: str,
    names: Iterable[str],
    *,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    cutoff: float = 0.6,
) -> str | None:
    """The one of `names` that was probably meant, or None.

    Args:
        name: what was written.
        names: what is legal.
        aliases: words of other tools, lower case with `_`, and what they are called here.
        cutoff: how alike two names have to be, from 0 to 1.
    """
    legal = list(names)
    for alias in (aliases or {}).get(folded(name), ()):
        if alias in legal:
            return alias
    return next(iter(candidates(name, legal, cutoff=cutoff)), None)


def did_you_mean(name: str, names: Iterable[str], otherwise: str = "") -> str:
    """A help line that names the closest of `names`; `otherwise` where none is close."""
    match = closest(name, names)
    return f"did you mean `{match}`?" if match else otherwise


def folded(name: str) -> str:
    """A name as it is compared: lower case with `_`, whether it was written so, with `-`, or in camel case."""
    return _HUMP.sub("_", name[:_LONGEST]).lower().replace("-", "_").replace(" ", "_")


def synonyms(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The `aliases` of a table of legal names (several, the likeliest first, for words that may mean each) to words for them."""
    return {word: tuple(names.split()) for names, words in table.items() for word in words.split()}
