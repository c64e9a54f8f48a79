"""A message type in a channel, checked with its options."""

from collections.abc import Callable
from typing import Any

Compile = Callable[..., Any]


def channel(option: str, *, auth: str = "none", route: str = "room", more: str = "") -> str:
    """A configuration whose type `say` has this option."""
    return f"""channeld: 1
auth: {{staff: {{type: tokens, tokens: [{{token: "${{CHANNELD_SECRET}}", user: ann}}]}}}}
channels:
  c:
    path: /c
    auth: {auth}
    rooms: lobby
    messages:
      say:
        schema: {{type: object, additionalProperties: false, properties: {{once: {{maxLength: 9}}, x: {{maxLength: 9}}}}}}
        route: {route}
        {option}
      talk: {{schema: {{additionalProperties: false}}, route: sender}}
{more}"""


def codes(compile_text: Compile, text: str) -> list[str]:
    """The codes that are about options."""
    return [code for code in compile_text(text).codes() if code >= "CH343" and code < "CH36"]
