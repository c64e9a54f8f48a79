"""Part of `guides/diff.md`: the keys that are not compared, and why."""

from pages.markdown import table

from channeld.diff.unjudged import UNJUDGED


def unjudged_keys() -> str:
    """Each key with its reason."""
    return table(
        ["key", "why clients do not depend on it"], [[f"`{k}`", why] for k, why in UNJUDGED.items()]
    )
