"""One request to the receiver: bounded in time and size, and never led elsewhere."""

import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import anyio
import httpx

from sessiond_webhook.answers import Answer, answer_of
from sessiond_webhook.clock import Clock

MAX_ANSWER: Final = 64 * 1024  # bytes of an answer that are read, and thrown away
ANSWER_WITHIN: Final = 1.0  # seconds for what follows its status
_SHOWN: Final = 200  # characters


class Poster:
    """Posts over one connection, kept open where the receiver's answers are short."""

    def __init__(self, trust: ssl.SSLContext, clock: Clock) -> None:
        self._clock = clock
        self._client = httpx.AsyncClient(
            verify=trust,
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - `post` bounds the whole, slow answers included
            limits=httpx.Limits(max_connections=1),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # it takes none
        )

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout: float
    ) -> Answer:
        """Send a request, and return what became of it.

        Args:
            url: Checked.
            headers: All but Host and Content-Length.
            body: As it was signed.
            timeout: Seconds until the answer's status must be there.
        """
        request = httpx.Request("POST", url, headers=headers, content=body)
        try:
            with anyio.fail_after(timeout):
                response = await self._client.send(request, stream=True)
        except (httpx.TransportError, OSError) as error:
            return Answer(fault=fault_of(error), is_passing=True, is_outage=True)
        try:
            await _read_out(response)
        finally:
            await response.aclose()
        retry_after = response.headers.get("retry-after")
        return answer_of(response.status_code, retry_after, now=self._clock.now())

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()


async def _read_out(response: httpx.Response) -> None:
    """Read what little follows the status, so that the connection can be used again.

    It is shown nowhere. A connection with more to come is closed.
    """
    size = 0
    with anyio.move_on_after(ANSWER_WITHIN), suppress(httpx.TransportError, OSError):
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > MAX_ANSWER:
                return


def fault_of(error: Exception) -> str:
    """Return why there is no answer, in words of ours: an error may quote the receiver's."""
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return "no answer in time"
        case httpx.ConnectError():
            return f"cannot connect: {_reason(error)[:_SHOWN]}"
        case httpx.ProtocolError():
            return "its answer is not HTTP, or broke off"
        case _:
            return "the connection was lost"


def _reason(error: Exception) -> str:
    """Return what the system or TLS has said, which the error is raised from."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ConnectionError):
        if isinstance(cause, BaseExceptionGroup):  # one of each address of the host
            cause = cause.exceptions[-1]
        else:
            cause = cause.__cause__ or cause.__context__
    if cause is not None and cause.errno is not None:
        return os.strerror(cause.errno)
    return str(error)
