"""What the API says when it does not do what was asked: problem documents (RFC 9457), with `errors` as on the wire."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import orjson
from starlette.responses import Response

from channeld.protocol.frames import Json
from channeld.schema.violations import Violation

__all__ = ["MEDIA_TYPE", "Problem", "document"]

MEDIA_TYPE: Final = "application/problem+json"


# RFC 9110's words, which older Pythons do not have.
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        detail: what is wrong, and what to do.
        errors: where in the request, and why.
        headers: of the answer.
        outcome: `unknown` where it may have been done.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
        outcome: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.outcome = outcome

    def document(self) -> dict[str, Json]:
        """The problem as JSON."""
        told = document(self.status, self.detail, self.errors)
        return told if self.outcome is None else {**told, "outcome": self.outcome}

    def response(self) -> Response:
        """The whole answer."""
        body = orjson.dumps(self.document())
        return Response(
            body, self.status, {**self.headers, "cache-control": "no-store"}, MEDIA_TYPE
        )


def document(status: int, detail: str, errors: Sequence[Violation] = ()) -> dict[str, Json]:
    """A problem document; `errors` is left out where there are none."""
    told: dict[str, Json] = {
        "type": "about:blank",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        told["errors"] = [
            {"path": one.path, "message": one.message, "keyword": one.keyword} for one in errors
        ]
    return told
