"""A request's body, whole and within its bounds, or the reason why there is none."""

from collections.abc import Iterable
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.types import Message

from sessiond.control.problem import Problem
from sessiond.control.request_body import MAX_BODY, content_of, read_body

pytestmark = pytest.mark.anyio

JSON = "application/json"


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    number: int
    word: Annotated[str, Meta(pattern=r"\A[a-z]*\Z")] = ""


def request(*pieces: bytes | None, media_type: str = JSON) -> Request:
    """Return a request whose body comes in these pieces; None: the peer hangs up."""
    coming: Iterable[Message] = iter(
        [
            {"type": "http.disconnect"}
            if piece is None
            else {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, start=1)
        ]
    )

    async def receive() -> Message:
        return next(iter(coming))

    headers = [(b"content-type", media_type.encode())]
    return Request({"type": "http", "method": "PUT", "headers": headers}, receive)


async def test_json_comes_as_what_it_is_of_in_however_many_pieces() -> None:
    assert await read_body(request(b'{"num', b'ber": 1}'), Body) == Body(1)


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        ([b'{"number": 1'], 400, "body: Input data was truncated"),
        ([b"{}"], 400, "body: Object missing required field `number`"),
        ([b'{"number": 1, "word": "secret-name\\n"}'], 400, "body: Expected a text as /openapi"),
        ([b'{"secret-name": 1}'], 400, "body: Object contains unknown field"),
        ([b'"\xff"'], 400, "body: "),
        ([b" " * MAX_BODY, b" "], 413, f"more than {MAX_BODY} bytes"),
        ([b"{", None], 400, "the body did not come whole"),
    ],
)
async def test_what_is_none_is_refused_and_never_repeated(
    sent: list[Any], status: int, told: str
) -> None:
    with pytest.raises(Problem) as refused:
        await read_body(request(*sent), Body)
    assert refused.value.status == status
    assert refused.value.detail.startswith(told)
    assert "secret-name" not in refused.value.detail


async def test_of_several_media_types_any_one_will_do() -> None:
    types = frozenset({"text/plain", JSON})
    assert await content_of(request(b"x", media_type="Text/Plain; charset=x"), types, limit=1)
    with pytest.raises(Problem, match="the body must be application/json or text/plain"):
        await content_of(request(b"x", media_type="image/png"), types, limit=1)
