"""The tables of `control-api.md`, from the table of requests and the forms of their bodies."""

from collections.abc import Mapping
from typing import Any

from pages.configuration import takes
from pages.markdown import table

from channeld.api import forms
from channeld.api.openapi import describe
from channeld.api.routes import ROUTES


def properties_of(schema: Any) -> list[str]:
    """The names of a mapping's keys."""
    return list(schema.get("properties", {}))


def api_requests() -> str:
    """The requests of the control API."""
    rows = [
        [
            f"`{one.method} {one.path}`" + (" *open*" if one.is_open else ""),
            one.summary,
            ", ".join(f"`{name}`" for name in properties_of(one.query)),
        ]
        for one in ROUTES
        if one.is_described
    ]
    return table(["request", "does", "query"], rows)


BODIES: Mapping[str, Any] = {
    "POST /v1/publish": forms.PUBLISH,
    "POST /v1/disconnect": forms.DISCONNECT,
    "POST /v1/subscribe": forms.MEMBERSHIP,
    "POST /v1/unsubscribe": forms.MEMBERSHIP,
}


def api_bodies() -> str:
    """The fields of the bodies; what goes only with what is in the OpenAPI document."""
    rows = [
        [
            f"`{request}`",
            f"`{name}`",
            "**required**" if name in form["required"] else "",
            takes(one),
        ]
        for request, form in BODIES.items()
        for name, one in form["properties"].items()
    ]
    return table(["request", "field", "", "takes"], rows)


def api_statuses() -> str:
    """What the answers mean, in the words of the OpenAPI document."""
    meanings: dict[str, str] = {}
    document: Any = describe(ROUTES)
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation.get("responses", {}).items():
                if status >= "400":
                    # Without the phrase, whose words depend on Python's version.
                    meanings[status] = answer["description"].partition(": ")[2]
    return table(["status", "means"], [list(row) for row in sorted(meanings.items())])
