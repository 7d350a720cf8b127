"""The body of a request, as JSON or as it is: within its bounds, and in its time."""

import re
from collections.abc import Set
from http import HTTPStatus
from typing import Any

import anyio
import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from sessiond.control.operation import ANY_MEDIA_TYPE
from sessiond.control.problem import Problem

MAX_BODY = 262_144  # bytes: the longest password, with each of its characters escaped
BODY_WITHIN = 10.0  # seconds
JSON = "application/json"

# What the caller sent is never repeated to him: it may be a token in the wrong place.
_QUOTED = re.compile(r"unknown field `[^`]*`")
_PATTERN = re.compile(r"Expected `str` matching regex '.*'", re.DOTALL)


async def read_body(request: Request, kind: type[Struct], also_as: Set[str] = frozenset()) -> Any:
    """Return a body of JSON.

    Args:
        request: Has it.
        kind: What it is to be.
        also_as: Other media types that it may be said to be.

    Raises:
        Problem: It is none, or not of this kind, or too large, or did not come.
    """
    content = await content_of(request, {JSON, *also_as}, limit=MAX_BODY)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"body: {unquoted(error)}") from None
    except UnicodeDecodeError:
        raise Problem(HTTPStatus.BAD_REQUEST, "body: it is not UTF-8") from None


async def content_of(request: Request, media_types: Set[str], *, limit: int) -> bytes:
    """Return a body as it is, at most `limit` bytes of it.

    Raises:
        Problem: It is of no such type, or too large, or did not come.
    """
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told not in media_types and ANY_MEDIA_TYPE not in media_types:
        wanted = " or ".join(sorted(media_types))
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body must be {wanted}")
    content = bytearray()
    try:
        with anyio.fail_after(BODY_WITHIN):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limit:
                    raise Problem(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                        f"more than {limit} bytes, wanted no more than that",
                    )
    except TimeoutError:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the body did not come") from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body did not come whole") from None
    return bytes(content)


def unquoted(error: msgspec.DecodeError) -> str:
    """Return what is wrong, without the names that the caller gave; what is missing is ours."""
    told = _PATTERN.sub("Expected a text as /openapi.json has it", str(error))
    return _QUOTED.sub("unknown field, wanted those of /openapi.json alone", told)
