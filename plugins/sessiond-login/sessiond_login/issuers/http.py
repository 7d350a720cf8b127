"""Requests to an issuer: by the system's trust and proxies, bounded, and never led elsewhere."""

import os
import re
import socket
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import httpx
import msgspec
import truststore

from sessiond_login import __version__
from sessiond_login.errors import IssuerUnavailable, LoginError, ProfileRefused
from sessiond_login.issuers.words import printable
from sessiond_login.own_files import NotOwnError, read_own

MAX_BODY_SIZE = 1024 * 1024  # bytes
MAX_CA_SIZE = 1024 * 1024  # bytes
TIMEOUT = 10.0  # seconds for a request with its answer, however slowly either moves
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DIRECT = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # the characters of RFC 3986, 2
_DATES = (9, 10)  # of OpenSSL's verdicts: not yet valid, expired


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. Not from where: a URL may hold what nobody is to read."""

    host: str
    status: int
    body: bytes = field(repr=False)  # it may hold a token

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def members(self) -> dict[str, object] | None:
        """Return the JSON object in the body, or None: it is none."""
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def unusable(self, wanted: str) -> IssuerUnavailable:
        """Return the error for an answer that helps nobody."""
        saw = f"{self.host} answered {self.status}"
        if 300 <= self.status < 400:
            return IssuerUnavailable(
                f"{saw}, a redirect, wanted {wanted}: see that this network asks for no sign-in "
                "of its own, and the profile's issuer"
            )
        if self.status == 429 or self.status >= 500:
            return IssuerUnavailable(f"{saw}, wanted {wanted}: try again later")
        return IssuerUnavailable(
            f"{saw} with nothing of use, wanted {wanted}: see that this network asks for no "
            "sign-in of its own"
        )


def url_fault(url: str, *, insecure_http: bool) -> str | None:
    """Return why nothing must be sent to a URL, in words that follow its name; None: it may be."""
    if not _URL.fullmatch(url):
        return "is not a URL"
    try:
        parts = httpx.URL(url)
        host = parts.host
    except (httpx.InvalidURL, ValueError):
        return "is not a URL"
    if parts.scheme not in ("https", "http") or not host:
        return "is no https:// URL"
    if parts.userinfo or parts.fragment:
        return "carries a user, a password or a fragment"
    if parts.scheme == "http" and not (insecure_http and host in LOOPBACK):
        return "is http://" if host not in LOOPBACK else "is http:// without insecure_http"
    return None


class IssuerHttp:
    """A client for one issuer. No redirect is followed; no connection outlives its request."""

    def __init__(
        self, *, ca_file: str = "", insecure_http: bool = False, timeout: float = TIMEOUT
    ) -> None:
        """Read the authorities; nothing is connected yet.

        Args:
            ca_file: PEM of authorities to trust beside the system's.
            insecure_http: Allows http:// to this computer.
            timeout: Seconds for one request with its answer.

        Raises:
            ProfileRefused: ca_file is not there, holds no certificate, or others can write it.
            IssuerUnavailable: The proxy that the environment names is of no kind that is known.
        """
        self._insecure_http = insecure_http
        self._timeout = timeout
        self._client = _client(_trust(ca_file), timeout)

    def get(self, url: str) -> Reply:
        """Return the answer to a GET.

        Raises:
            IssuerUnavailable: None came in time, or too much of it.
            ProfileRefused: Nothing may be sent to this URL.
        """
        return self._send("GET", url, None)

    def post_form(self, url: str, form: Mapping[str, str]) -> Reply:
        """Return the answer to a form; raises as `get` does."""
        return self._send("POST", url, dict(form))

    def _send(self, method: str, url: str, form: dict[str, str] | None) -> Reply:
        fault = url_fault(url, insecure_http=self._insecure_http)
        if fault is not None:
            raise ProfileRefused(
                f"an address of the issuer {fault}: {printable(url.partition('?')[0])}; wanted "
                "https://: see the profile's issuer"
            )
        request = self._client.build_request(method, url, data=form)
        outcomes: SimpleQueue[Reply | LoginError] = SimpleQueue()
        # A thread, since whoever sends a byte now and then holds any reader for as long as he
        # likes. Left behind, it ends with the program.
        Thread(target=self._exchange, args=(request, outcomes), daemon=True).start()
        outcome = _next(outcomes, self._timeout)
        if outcome is None:
            raise IssuerUnavailable(
                f"{request.url.host} did not answer within {self._timeout:g} s: see the network, "
                "and the proxy's settings"
            )
        if isinstance(outcome, LoginError):
            raise outcome
        return outcome

    def _exchange(
        self, request: httpx.Request, outcomes: "SimpleQueue[Reply | LoginError]"
    ) -> None:
        """Put what became of a request. No error of httpx goes on from here: each has its URL."""
        host = request.url.host
        try:
            response = self._client.send(request, stream=True)
            try:
                body = _body(response)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError, RuntimeError) as error:
            outcomes.put(_unreachable(host, error))
            return
        if body is None:
            outcomes.put(
                IssuerUnavailable(
                    f"{host} answered with more than {MAX_BODY_SIZE // 1024} KiB, or packed, "
                    "wanted a short answer: see the profile's issuer"
                )
            )
            return
        outcomes.put(Reply(host=host, status=response.status_code, body=body))


def _next(outcomes: "SimpleQueue[Reply | LoginError]", timeout: float) -> Reply | LoginError | None:
    try:
        return outcomes.get(timeout=timeout)
    except Empty:
        return None


def _client(trust: ssl.SSLContext, timeout: float) -> httpx.Client:
    try:
        return httpx.Client(
            verify=trust,
            timeout=timeout,
            mounts=_DIRECT,  # past any proxy
            limits=httpx.Limits(max_keepalive_connections=0),  # nobody says when the last one was
            follow_redirects=False,
            headers={
                "User-Agent": f"sessiond-login/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
        )
    except (ValueError, ImportError, httpx.InvalidURL):
        pass  # the error has the proxy's address, with its password
    raise IssuerUnavailable(
        "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names is of no kind that is known "
        "here, wanted http://HOST:PORT"
    )


def _trust(ca_file: str) -> ssl.SSLContext:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca_file:
        return context
    try:
        real = Path(os.path.realpath(ca_file, strict=True))
        content = read_own(real, max_size=MAX_CA_SIZE, anybodys=True)
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except NotOwnError as error:
        raise ProfileRefused(
            f"{printable(str(error))}. Whoever writes the profile's ca_file decides who may pass "
            "for the issuer, so it is not used"
        ) from None
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        fault = "no PEM of certificates" if isinstance(error, ssl.SSLError) else "not readable"
    else:
        return context
    raise ProfileRefused(f"ca_file {printable(ca_file)} is {fault}, wanted the issuer's authority")


def _body(response: httpx.Response) -> bytes | None:
    """Return the body; None where it is too long, or packed, which may grow to any length."""
    if response.headers.get("content-encoding", "identity") != "identity":
        return None
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > MAX_BODY_SIZE:
            return None
    return bytes(body)


def _unreachable(host: str, error: BaseException) -> LoginError:
    """Return what to tell the person of a request that brought no answer."""
    via = ", by the proxy of HTTPS_PROXY or of the system," if urllib.request.getproxies() else ""
    via = "" if host in LOOPBACK else via
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return IssuerUnavailable(_distrust(host, cause))
            case socket.gaierror():
                return IssuerUnavailable(
                    f"no computer of the name {host} was found{via}: see how it is written, "
                    "and the network"
                )
            case httpx.ProxyError():
                return IssuerUnavailable(
                    f"the proxy lets nothing through to {host}: see HTTPS_PROXY and NO_PROXY"
                )
            case httpx.TimeoutException():
                return IssuerUnavailable(
                    f"{host} did not answer in time{via}: see the network, and the proxy's settings"
                )
            case ssl.SSLError():
                return IssuerUnavailable(
                    f"{host} speaks no TLS that is known here{via}: see the profile's issuer"
                )
            case _:
                pass  # the error behind it may say more
    return IssuerUnavailable(f"{host} cannot be reached{via}: see the network")


def _distrust(host: str, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _DATES:
        return f"the certificate of {host} is over or not yet good: see this computer's clock"
    if error.verify_code == 62:  # X509_V_ERR_HOSTNAME_MISMATCH
        return f"the certificate of {host} is for another name: see the profile's issuer"
    return (
        f"the certificate of {host} is by an authority that this computer does not trust: have "
        "it trust that one, which a profile does with ca_file"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors behind an error, the last first."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 20:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    yield from reversed(chain)
