"""The lists of `hooks.md`, from the docstrings of `channeld/hooks.py`."""

import inspect
import re
from collections.abc import Callable, Iterator

from pages.markdown import cell

from channeld.hooks import Context, Reject, Request, SyncContext, User


def members(kind: type) -> Iterator[str]:
    """The public names of a class, with signatures and what they do."""
    for base in reversed([one for one in kind.__mro__ if one.__module__ == "channeld.hooks"]):
        for name, member in vars(base).items():
            if name.startswith("_"):
                continue
            if isinstance(member, property):
                yield f"- `ctx.{name}`: {cell(inspect.getdoc(member) or '')}"
            elif inspect.isfunction(member):
                word = "await " if inspect.iscoroutinefunction(member) else ""
                yield f"- `{word}ctx.{name}{signature(member)}`: {cell(inspect.getdoc(member) or '')}"


def signature(function: Callable[..., object]) -> str:
    """A signature without `self` and without annotations, which the types say."""
    found = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in found.parameters.items()
        if name != "self"
    ]
    return str(
        found.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    ).replace("NOTHING", "{}")


def context_reads() -> str:
    """What both contexts can read."""
    return "\n".join(line for line in members(Context) if "(" not in line.partition(":")[0])


def context_verbs() -> str:
    """What an async hook can do."""
    return "\n".join(line for line in members(Context) if "(" in line.partition(":")[0])


def sync_verbs() -> str:
    """What a sync hook can do."""
    return "\n".join(line for line in members(SyncContext) if "(" in line.partition(":")[0])


def hook_values() -> str:
    """`Reject`, `User` and `Request`, in their own words."""
    blocks = []
    for kind in (Reject, User, Request):
        text = inspect.getdoc(kind) or ""
        blocks.append(f"### `{kind.__name__}{signature(kind)}`\n\n{arguments(text)}")
    return "\n\n".join(blocks)


def arguments(doc: str) -> str:
    """A docstring with its `Args` as a list."""
    text, _, args = doc.partition("Args:\n")
    entries = re.split(r"\n(?=    \w+: )", "\n" + args.rstrip()) if args else []
    listed = [
        re.sub(r"^\s*(\w+): ", r"- `\1`: ", " ".join(e.split())) for e in entries if e.strip()
    ]
    return "\n".join([text.strip(), "", *listed]).strip()
