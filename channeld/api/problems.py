"""Error answers of the API: problem documents (RFC 9457), with `errors` as on the wire."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from channeld.api.responses import as_response
from channeld.protocol.frames import Json
from channeld.schema.violations import Violation

MEDIA_TYPE: Final = "application/problem+json"


# RFC 9110's phrases, which older Python versions lack.
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: the HTTP status.
        detail: what is wrong, and what to do.
        errors: where in the request, and why.
        headers: headers of the answer.
        more: further fields of the document, such as `outcome: unknown` if it may have been done.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
        **more: Json,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, tuple(errors)
        self._headers, self._more = headers, more

    def document(self) -> dict[str, Json]:
        """The problem as JSON; without `errors` if there are none."""
        return {
            "type": "about:blank",
            "title": _TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"errors": listed(self.errors)} if self.errors else {}),
            **self._more,
        }

    def response(self) -> Response:
        """The complete answer."""
        return as_response(self.document(), self.status, self._headers, MEDIA_TYPE)


def listed(errors: Iterable[Violation]) -> list[Json]:
    """Violations in the form of the wire and the API."""
    return [{"path": one.path, "message": one.message, "keyword": one.keyword} for one in errors]
