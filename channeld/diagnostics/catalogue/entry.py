"""What the catalogue says of one code."""

import attrs

from channeld.diagnostics.diagnostic import Severity

__all__ = ["Entry"]


@attrs.frozen(slots=True)
class Entry:
    """A code and its explanation. Codes are never reused.

    `name` is kebab case. `title` is the diagnostic's headline, lower case, no full stop. `explanation` is Markdown: why
    it matters and what to do. `wrong` and `right` are small whole configs (or the part named in `wrong`'s first comment
    line); a test shows that `wrong` gives the code and `right` does not.
    """

    code: str
    name: str
    severity: Severity
    title: str
    explanation: str
    wrong: str = ""
    right: str = ""
