"""Errors as RFC 9457 problem details."""

from http import HTTPStatus

import msgspec
from msgspec import Struct
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class ProblemBody(Struct, frozen=True, kw_only=True, rename={"kind": "type"}):
    """What went wrong (RFC 9457). `title` is the status in words, `detail` this case."""

    kind: str = "about:blank"
    title: str
    status: int
    detail: str


class Problem(Exception):  # noqa: N818 - an answer, not a fault
    """Answer the request with this; the detail is for the caller to read, and has no secret."""

    def __init__(self, status: HTTPStatus, detail: str, *, retry_after: int | None = None) -> None:
        """Make one; `retry_after`: seconds, RFC 9110, 10.2.3."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}


def answer_of(problem: Problem) -> Response:
    """Return the problem as the response."""
    body = ProblemBody(
        title=problem.status.phrase, status=problem.status.value, detail=problem.detail
    )
    return Response(
        msgspec.json.encode(body),
        status_code=problem.status.value,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )
