"""Whether a conjunction of schemas is unsatisfiable, as far as that can be proven."""

from typing import Final

from channeld.schema.compare.normal_form import NUMBERS, Form
from channeld.schema.compare.normalize import form_of
from channeld.schema.compare.schema_ref import Node, number

MAX_DEPTH: Final = 8
_COUNTED: Final = {"string": "Length", "array": "Items", "object": "Properties"}


def leaves_nothing(node: Node, depth: int = MAX_DEPTH) -> bool:
    """Whether no value can satisfy all of a node's schemas; looks at properties `depth` levels deep."""
    form = form_of(node)
    if form.values is not None:
        return not form.values
    return all(_is_impossible(form, type, depth) for type in form.types)


def _is_impossible(form: Form, type: str, depth: int) -> bool:
    if type in NUMBERS:
        low, high = form.lower, form.upper
        if low is None or high is None:
            return False
        return low.value > high.value or (low.value == high.value and (low.open or high.open))
    what = _COUNTED.get(type, "")
    least, most = (form.counts.get(f"{edge}{what}") for edge in ("min", "max"))
    if least is not None and most is not None and number(least.value) > number(most.value):
        return True
    return (
        type == "object"
        and depth > 0
        and any(leaves_nothing(form.child(name), depth - 1) for name in form.required)
    )
