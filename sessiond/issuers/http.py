"""One issuer's HTTP: bounded in time, size and number, and never led elsewhere."""

import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urlencode

import anyio
import h11

from sessiond.clock import Clock
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, UnusableAnswer
from sessiond.core.jsontext import read_object
from sessiond.gate.fair import FairLimiter
from sessiond.issuers.connection import Answer, BadAnswer, Request
from sessiond.issuers.network import Exchange, Network
from sessiond.issuers.url import target_of

DEFAULT_RETRY_AFTER = 5.0  # seconds, where a 429 does not say
MAX_RETRY_AFTER = 3600.0  # seconds; nobody is silenced for longer by one header
# Not compressed: a bound on the bytes read is then a bound on memory.
_ASKED_FOR = {"accept": "application/json", "accept-encoding": "identity"}


def trust(ca_file: str = "") -> ssl.SSLContext:
    """Return what decides whom to trust: the machine's authorities, or those in ca_file alone.

    Takes about 50 ms: build one for each ca_file, in a worker thread, and share it.

    Raises:
        OSError: The file is not there, or holds no certificate (ssl.SSLError).
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.set_alpn_protocols(["http/1.1"])
    return context


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
        network: Exchange | None = None,
    ) -> None:
        """Connect to nobody yet.

        Args:
            timeout: Seconds for one call altogether, the wait for its turn included.
            concurrency: Calls at once.
            clock: Tells what a Retry-After date is counted from.
            tls: From `trust`, shared.
            insecure_http: Excuses http:// to this machine.
            note: Told of each call why the issuer is unavailable; None: it answered.
            network: Answers instead of the real one, in tests.
        """
        self.insecure_http = insecure_http
        self._timeout = timeout
        self._clock = clock
        self._turn = FairLimiter(concurrency)
        self._note = note
        self._network = network or Network(tls=tls, most_idle=concurrency, clock=clock)
        self.ahead: float | None = None  # seconds the issuer's clock was ahead of ours at last

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection that is not in use, and each that is when that is over."""
        self._network.close()

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        """GET one URL.

        Raises:
            IssuerUnavailable: No answer in time, or 5xx.
            IssuerThrottled: 429, or 5xx with Retry-After.
            UnusableAnswer: 3xx, one too large or compressed, or an endpoint that is refused.
        """
        return await self._call("GET", url, headers or {}, None, is_repeatable=True)

    async def post_form(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = False,
    ) -> Reply:
        """POST a form, as every OAuth endpoint takes it; raises as `get` does.

        Args:
            url: The endpoint.
            form: Its fields.
            headers: More of them.
            is_repeatable: It does nothing, or the same twice as once: so it may be sent again where
                the connection was closed before an answer. A refresh token must not be.
        """
        kind = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        content = urlencode(form).encode()
        return await self._call("POST", url, kind, content, is_repeatable=is_repeatable)

    async def post_json(
        self, url: str, members: Mapping[str, object], *, headers: Mapping[str, str]
    ) -> Reply:
        """POST a question in JSON, which changes nothing; raises as `get` does."""
        kind = {"content-type": "application/json", **headers}
        content = json.dumps(members).encode()
        return await self._call("POST", url, kind, content, is_repeatable=True)

    async def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        is_repeatable: bool,
    ) -> Reply:
        target = target_of(url, insecure_http=self.insecure_http)
        if isinstance(target, str):
            raise UnusableAnswer(
                f"an endpoint {target}, wanted where a token may be sent: set it for this issuer"
            )
        request = Request(method, target, {**_ASKED_FOR, **headers}, content, is_repeatable)
        try:
            answer = await self._answer(request)
            reply = _judged(answer, target.origin.host, now=self._clock.now())
        except UnusableAnswer:
            self._note(None)
            raise
        except IssuerUnavailable as unavailable:
            self._note(unavailable)
            raise
        self._note(None)
        return reply

    async def _answer(self, request: Request) -> Answer:
        # Raised outside the handler: what such an error holds may be of the request.
        host = request.target.origin.host
        failure = (
            f"{host} did not answer within {self._timeout} s, wanted an answer: see that issuer, "
            "and the way to it"
        )
        try:
            with anyio.move_on_after(self._timeout):
                async with self._turn.place(None):
                    answer = await self._network.exchange(request)
                if answer.header(b"age") is None:  # a cache's copy has the origin's old Date
                    date = answer.header(b"date") or ""
                    self.ahead = seconds_until(date, self._clock.now())
                return answer
        except BadAnswer as bad:
            why = "" if bad.__cause__ is None else f" ({_said(bad.__cause__)})"
            failure = f"{host} gave no answer: {bad}{why}, wanted one: see that issuer"
        except (OSError, ValueError, h11.LocalProtocolError) as error:
            failure = (
                f"{host} could not be asked: {_said(error)}, wanted a connection: see that issuer, "
                "the way to it, and ca_file"
            )
        raise IssuerUnavailable(failure)


def _said(error: BaseException) -> str:
    """Return what the system says of a failure, else its name.

    Only its own words for a number: an error's text may hold the request.
    """
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():  # its errno is none of the system's
            return f"TLS: {error.reason}"
        case socket.gaierror():
            return "its name is not found"
        case OSError(errno=int(number)) if number:
            return os.strerror(number)
        case _:
            return type(error).__name__


def _judged(answer: Answer, host: str, *, now: datetime) -> Reply:
    """Return an answer that its caller must read; raise for one that is no verdict at all.

    Here alone it is decided what an answer says of the issuer. Below 500 it answers: what it says
    is about this call alone. 429 is a wish to be left alone, and so is an error with
    Retry-After; anything else from 500 on says that it is unavailable.
    """
    header = answer.header(b"retry-after")
    reply = Reply(
        status=answer.status,
        retry_after=None if header is None else retry_after(header, now=now),
        challenge=answer.header(b"www-authenticate") or "",
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
