"""One issuer's HTTP: bounded in time, size and number, and never led elsewhere."""

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Self
from urllib.parse import urlencode

import anyio
import httpx

from sessiond.clock import Clock
from sessiond.core.endpoint import endpoint_fault
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, UnusableAnswer
from sessiond.core.jsontext import read_object

MAX_BODY_SIZE = 512 * 1024  # bytes
LANE_CONNECTIONS = 4  # a request costs CPU in proportion to its pool: small ones, and several
DEFAULT_RETRY_AFTER = 5.0  # seconds, where a 429 does not say
MAX_RETRY_AFTER = 3600.0  # seconds; nobody is silenced for longer by one header


def trust(ca_file: str = "") -> ssl.SSLContext:
    """Return what decides whom to trust: the machine's authorities, or those in ca_file alone.

    Takes about 50 ms: build one for each ca_file, in a worker thread, and share it.

    Raises:
        OSError: The file is not there, or holds no certificate (ssl.SSLError).
    """
    return ssl.create_default_context(cafile=ca_file or None)


def url_fault(url: str, *, insecure_http: bool = False) -> str | None:
    """Return why a token must not be sent to this URL, in words that follow its name, or None.

    Args:
        url: An endpoint, from the configuration or from the issuer's own metadata.
        insecure_http: Excuses http://, and only where the host is this machine.
    """
    try:
        parts = _parsed(url)
        host = parts.host  # decoded, which not every name can be (RFC 5891)
    except (httpx.InvalidURL, ValueError):
        return "is not a URL"
    return endpoint_fault(
        scheme=parts.scheme,
        host=host,
        port=parts.port,
        has_user=bool(parts.userinfo),
        has_fragment=bool(parts.fragment),
        insecure_http=insecure_http,
    )


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    """Return an endpoint's URL: the same few, for every request."""
    return httpx.URL(url)


def retry_after(header: str, *, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for (RFC 9110, 10.2.3), or None if unreadable.

    Args:
        header: Whole seconds or an HTTP-date.
        now: What a date is counted from.

    Returns:
        At least 1, at most MAX_RETRY_AFTER.
    """
    text = header.strip()
    is_number = text.isascii() and text.isdigit()
    seconds = float(text[:9]) if is_number else seconds_until(text, now)
    return None if seconds is None else min(max(seconds, 1.0), MAX_RETRY_AFTER)


def seconds_until(http_date: str, now: datetime) -> float | None:
    """Return the seconds from now to an HTTP-date (RFC 9110, 5.6.7), or None: it is none."""
    try:
        date = parsedate_to_datetime(http_date)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return (aware - now).total_seconds()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the issuer answered: a 2xx or a 4xx other than 429, so that it is available."""

    status: int
    retry_after: float | None  # seconds
    challenge: str  # WWW-Authenticate (RFC 6750, 3), else empty
    body: bytes = field(repr=False)  # it may hold a token

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def read(self) -> dict[str, object]:
        """Return the JSON object in the body.

        Raises:
            UnusableAnswer: There is none.
        """
        members = read_object(self.body)
        if members is None:
            raise self.trouble(
                f"the issuer answered {self.status} without a JSON object, wanted one: see the "
                "endpoint's URL"
            )
        return members

    def trouble(self, detail: str) -> UnusableAnswer:
        """Return the error for an answer that is no verdict; a Retry-After is for this call."""
        return UnusableAnswer(detail, retry_after=self.retry_after or 0.0)


class IssuerHttp:
    """Requests to one issuer: none longer than `timeout`, never more than `concurrency` at once.

    No proxy or certificate is taken from the environment, no redirect is followed, no cookie is
    kept, since one user's must not travel with the next one's token.
    """

    def __init__(
        self,
        *,
        timeout: float,
        concurrency: int,
        clock: Clock,
        tls: ssl.SSLContext,
        insecure_http: bool = False,
        note: Callable[[IssuerUnavailable | None], object] = lambda _: None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Make the pools; nothing is connected yet.

        Args:
            timeout: Seconds for one call altogether, the wait for its turn included.
            concurrency: Calls at once.
            clock: Tells what a Retry-After date is counted from.
            tls: From `trust`, shared.
            insecure_http: Excuses http:// to this machine.
            note: Told of each call why the issuer is unavailable; None: it answered.
            transport: Answers instead of the network, in tests.
        """
        self.insecure_http = insecure_http
        self._timeout = timeout
        self._clock = clock
        self._turn = anyio.CapacityLimiter(concurrency)
        lanes = -(-concurrency // LANE_CONNECTIONS)
        self.ahead: float | None = None  # seconds the issuer's clock was ahead of ours at last
        self._note = note
        self._lanes = [_Lane(timeout, tls, transport) for _ in range(lanes)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        async with AsyncExitStack() as stack:
            for lane in self._lanes:
                stack.push_async_callback(lane.close)

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        """GET one URL.

        Raises:
            IssuerUnavailable: No answer in time, or 5xx.
            IssuerThrottled: 429, or 5xx with Retry-After.
            UnusableAnswer: 3xx, one too large or compressed, or an endpoint that is refused.
        """
        return await self._call("GET", url, headers=headers or {}, content=None)

    async def post_form(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """POST a form, as every OAuth endpoint takes it; raises as `get` does."""
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return await self._call(
            "POST", url, headers={**kind, **(headers or {})}, content=urlencode(form).encode()
        )

    async def _call(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None
    ) -> Reply:
        fault = url_fault(url, insecure_http=self.insecure_http)
        if fault is not None:
            raise UnusableAnswer(
                f"an endpoint {fault}, wanted where a token may be sent: set it for this issuer"
            )
        target = _parsed(url)
        try:
            answer = await self._answer(method, target, headers, content)
            reply = _judged(answer, target.host, now=self._clock.now())
        except UnusableAnswer:
            self._note(None)
            raise
        except IssuerUnavailable as unavailable:
            self._note(unavailable)
            raise
        self._note(None)
        return reply

    async def _answer(
        self, method: str, target: httpx.URL, headers: Mapping[str, str], content: bytes | None
    ) -> "_Answer":
        # Raised outside the handler: httpx's errors hold the request, and that holds the token.
        failure = (
            f"{target.host} did not answer within {self._timeout} s, wanted an answer: see that "
            "issuer, and the way to it"
        )
        try:
            with anyio.move_on_after(self._timeout):
                async with self._turn:
                    lane = min(self._lanes, key=lambda lane: lane.in_use)
                    answer = await lane.exchange(method, target, headers, content)
                    if "age" not in answer.headers:  # a cache's copy has the origin's old Date
                        date = answer.headers.get("date", "")
                        self.ahead = seconds_until(date, self._clock.now())
                    return answer
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
            failure = (
                f"{target.host} could not be asked: {type(error).__name__}{_cause(error)}, wanted "
                "a connection: see that issuer, the way to it, and ca_file"
            )
        raise IssuerUnavailable(failure)


def _cause(error: BaseException) -> str:
    """Return what the system says of a failure, in words that follow its name, or nothing.

    Only its own words for a number: an error's text may hold the request.
    """
    root = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    if isinstance(root, ssl.SSLCertVerificationError):
        return f" (its certificate is not trusted: {root.verify_message})"
    if isinstance(root, ssl.SSLError):  # its errno is none of the system's
        return f" (TLS: {root.reason})"
    if isinstance(root, socket.gaierror):
        return " (its name is not found)"
    if isinstance(root, OSError) and root.errno:
        return f" ({os.strerror(root.errno)})"
    return ""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    fault: str | None  # why there is no body
    body: bytes = field(repr=False)


class _Lane:
    """One small connection pool.

    httpx's transport without its client: so there is nothing that could keep a cookie, follow a
    redirect or add credentials, and a request costs half.
    """

    def __init__(
        self, timeout: float, tls: ssl.SSLContext, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.in_use = 0
        self._timeout = httpx.Timeout(timeout).as_dict()
        self._transport = transport or httpx.AsyncHTTPTransport(
            verify=tls,
            limits=httpx.Limits(
                max_connections=LANE_CONNECTIONS, max_keepalive_connections=LANE_CONNECTIONS
            ),
            trust_env=False,
        )

    async def exchange(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None
    ) -> _Answer:
        self.in_use += 1
        try:
            request = httpx.Request(
                method,
                url,
                # Not compressed: a bound on the bytes read is then a bound on memory.
                headers={"accept": "application/json", "accept-encoding": "identity", **headers},
                content=content,
                extensions={"timeout": self._timeout},
            )
            reply = await self._transport.handle_async_request(request)
            try:
                fault, body = await _body_of(reply)
            finally:
                await reply.aclose()
            return _Answer(reply.status_code, reply.headers, fault, body)
        finally:
            self.in_use -= 1

    async def close(self) -> None:
        await self._transport.aclose()


async def _body_of(reply: httpx.Response) -> tuple[str | None, bytes]:
    if reply.headers.get("content-encoding", "identity") != "identity":
        return "compressed its answer without being asked", b""
    body = bytearray()
    async for piece in reply.aiter_raw():
        body += piece
        if len(body) > MAX_BODY_SIZE:
            return f"answered more than {MAX_BODY_SIZE} bytes", b""
    return None, bytes(body)


def _judged(answer: _Answer, host: str, *, now: datetime) -> Reply:
    """Return an answer that its caller must read; raise for one that is no verdict at all.

    Here alone it is decided what an answer says of the issuer. Below 500 it answers: what it says
    is about this call alone. 429 is a wish to be left alone, and so is an error with
    Retry-After; anything else from 500 on says that it is unavailable.
    """
    header = answer.headers.get("retry-after")
    reply = Reply(
        status=answer.status,
        retry_after=None if header is None else retry_after(header, now=now),
        challenge=answer.headers.get("www-authenticate", ""),
        body=answer.body,
    )
    if reply.status == 429 or (reply.status >= 500 and reply.retry_after is not None):
        pause = reply.retry_after or DEFAULT_RETRY_AFTER
        raise IssuerThrottled(
            f"{host} answered {reply.status}, wanted 200: wait, it is asked again in {pause:.0f} s",
            retry_after=pause,
        )
    if reply.status >= 500:
        raise IssuerUnavailable(f"{host} answered {reply.status}, wanted 200: see that issuer")
    if not (200 <= reply.status < 300 or reply.status >= 400):
        raise reply.trouble(
            f"{host} answered {reply.status}, wanted 200, from where it leads to: set that URL"
        )
    if answer.fault is not None:
        raise reply.trouble(
            f"{host} {answer.fault}, wanted a short and plain answer: see the endpoint's URL"
        )
    return reply
