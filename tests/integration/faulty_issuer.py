"""Issuers of the tests' own over TLS, many at one port, each with one thing wrong on demand.

The real issuer (tests/issuer) fails one path for everybody; here each issuer fails by itself, so
that one daemon meets all faults side by side. A path is /NAME/v2.0/ENDPOINT.
"""

import json
import secrets
import socket
import ssl
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import trustme
from joserfc import jwt
from joserfc.jwk import ECKey

ALWAYS = 1_000_000_000  # how often a fault strikes that is to be healed
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """A wrong answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


class Stuck(StrEnum):
    """No answer, or no whole one."""

    HANG = "hang"  # not even a header
    TRICKLE = "trickle"  # a body that never ends, a blank at a time
    DROP = "drop"  # closed unanswered


class Certificate(StrEnum):
    """What a server shows of itself."""

    GOOD = "good"
    STRANGER = "stranger"  # of an authority that nobody trusts
    EXPIRED = "expired"
    OTHER_NAME = "other name"


class Gone(StrEnum):
    """No server at all."""

    REFUSED = "refused"
    NO_NAME = "no name"  # RFC 6761, 6.4: .invalid never resolves


Fault = Answer | Stuck | Certificate | Gone


class FaultyIssuer:
    """One issuer: what it signs and vouches for, and what is wrong with one of its endpoints."""

    def __init__(self, name: str, *, endpoint: str, fault: Fault, times: int = ALWAYS) -> None:
        """Be at fault from the start.

        Args:
            name: Its first path segment; it has one user.
            endpoint: What the fault strikes: metadata, keys, introspect, userinfo or token.
            fault: What is wrong.
            times: How many requests it strikes.
        """
        self.name, self.endpoint, self.fault = name, endpoint, fault
        self.user = f"{name}@example.test"
        self.url = ""  # `iss`, once it is served
        self.place = ""  # where the struck endpoint is, when not below `url`
        self.answers: dict[str, object] = {}  # members of a token answer; None = left out
        self.refreshed: dict[str, Any] = {}  # how `jwt` makes what a refresh brings
        self.padding: list[dict[str, str]] = []  # more keys to publish
        self._keys = [_new_key()]
        self._left = times
        self._calls: Counter[str] = Counter()
        self._vouched: dict[str, dict[str, object]] = {}  # by opaque token
        self._lock = threading.Lock()

    def break_down(self) -> None:
        """Let the fault strike from now on."""
        with self._lock:
            self._left = ALWAYS

    def heal(self) -> None:
        """Be at no fault from now on."""
        with self._lock:
            self._left = 0

    def strikes(self) -> bool:
        """Say whether the fault strikes this time."""
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one stays published."""
        self._keys.insert(0, _new_key())

    def calls(self, endpoint: str) -> int:
        """Return how many requests have come."""
        with self._lock:
            return self._calls[endpoint]

    def jwt(
        self,
        *,
        lifetime: timedelta = HOUR,
        skew: timedelta = timedelta(),
        key: int = 0,
        subject: str = "",
    ) -> str:
        """Return a signed access token.

        Args:
            lifetime: Between its dates.
            skew: By which the issuer's clock is ahead.
            key: 0 is the newest, -1 the oldest.
            subject: Of the user, unless it is somebody else's.
        """
        claims = {"iss": self.url, "aud": "api://kdb", "scp": "session.login"}
        signer = self._keys[key]
        header = {"alg": "ES256", "typ": "at+jwt", "kid": signer.kid}
        return jwt.encode(
            header, {**claims, **self._who(subject), **_dates(lifetime, skew)}, signer
        )

    def opaque(self, *, lifetime: timedelta = HOUR, skew: timedelta = timedelta()) -> str:
        """Return an access token that only this issuer can judge, marked as a token."""
        token = secrets.token_urlsafe(32)
        self._vouched[token] = {**self._who(), **_dates(lifetime, skew)}
        return f"bearer:{token}"

    def vouch_for(self, token: str) -> None:
        """Let userinfo know a token that is signed."""
        self._vouched[token] = {}

    def pair(self, *, lifetime: timedelta = HOUR) -> str:
        """Return the password that the qStudio plugin sends."""
        return f"{self.jwt(lifetime=lifetime)};{secrets.token_urlsafe(32)}"

    def answer(self, endpoint: str, *, bearer: str, form: Mapping[str, str]) -> Answer:
        """Return what the issuer says when nothing is wrong."""
        match endpoint:
            case "metadata":
                return _json(self._metadata())
            case "keys":
                published = [key.as_dict(private=False) for key in self._keys]
                return _json({"keys": [*published, *self.padding]})
            case "introspect":
                vouched = self._vouched.get(form.get("token", ""))
                about = {"token_type": "Bearer", "client_id": "qstudio"}
                return _json({"active": vouched is not None, **about, **(vouched or {})})
            case "userinfo":
                return _json(self._who()) if bearer in self._vouched else Answer(401)
            case "token":
                return _json(self._tokens())
            case _:
                return Answer(404)

    def note(self, endpoint: str) -> None:
        """Count a request."""
        with self._lock:
            self._calls[endpoint] += 1

    def _metadata(self) -> dict[str, str]:
        members = {
            "authorization_endpoint": "authorize",
            "introspection_endpoint": "introspect",
            "jwks_uri": "keys",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
        }
        elsewhere = {self.endpoint: self.place} if self.place else {}
        return {
            "issuer": self.url,
            **{name: f"{elsewhere.get(at, self.url)}/{at}" for name, at in members.items()},
        }

    def _tokens(self) -> dict[str, object]:
        usual: dict[str, object] = {
            "access_token": self.jwt(**self.refreshed),
            "refresh_token": secrets.token_urlsafe(32),
            "token_type": "Bearer",
            "expires_in": 3600,
        }
        stated = {**usual, **self.answers}
        return {name: value for name, value in stated.items() if value is not None}

    def _who(self, subject: str = "") -> dict[str, str]:
        subject = subject or f"subject-of-{self.name}"
        return {"sub": subject, "oid": f"oid-{subject}", "preferred_username": self.user}


@contextmanager
def serving(issuers: Iterable[FaultyIssuer]) -> Iterator[Path]:
    """Serve the issuers; give the file of the authority to trust."""
    stopping = threading.Event()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faulty-")))
        contexts = _contexts(folder / "ca.pem")
        home = _Server(contexts, stopping)
        refusing = stack.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))  # and nobody listens
        servers = [home]
        for issuer in issuers:
            home.issuers[issuer.name] = issuer
            issuer.url = f"https://localhost:{home.server_port}/{issuer.name}/v2.0"
            match issuer.fault:
                case Gone.NO_NAME:
                    issuer.place = "https://issuer.invalid"
                case Gone.REFUSED:
                    issuer.place = f"https://localhost:{refusing.getsockname()[1]}"
                case Certificate():
                    server = _Server(contexts, stopping, striking=issuer)
                    server.issuers = home.issuers
                    issuer.place = issuer.url.replace(
                        f":{home.server_port}/", f":{server.server_port}/"
                    )
                    servers.append(server)
                case _:
                    pass
        for server in servers:
            stack.callback(server.server_close)  # waits for its answers to end
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        stack.callback(stopping.set)
        yield folder / "ca.pem"


def _contexts(ca_file: Path) -> dict[Certificate, ssl.SSLContext]:
    """Return a server's TLS for each certificate; write the authority that is trusted."""
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    shown = {
        Certificate.GOOD: authority.issue_cert("localhost"),
        Certificate.STRANGER: stranger.issue_cert("localhost"),
        Certificate.EXPIRED: authority.issue_cert("localhost", not_after=yesterday),
        Certificate.OTHER_NAME: authority.issue_cert("other.example.test"),
    }
    contexts = {name: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for name in shown}
    for name, certificate in shown.items():
        certificate.configure_cert(contexts[name])
    return contexts


class _Server(ThreadingHTTPServer):
    """One port. Each connection is a thread and carries one request (HTTP/1.0)."""

    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 64

    def __init__(
        self,
        contexts: Mapping[Certificate, ssl.SSLContext],
        stopping: threading.Event,
        *,
        striking: FaultyIssuer | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuers: dict[str, FaultyIssuer] = {}
        self.stopping = stopping
        self._contexts = contexts
        self._striking = striking  # whose certificate is wrong here

    def finish_request(self, request: Any, client_address: Any) -> None:
        shown: Fault = Certificate.GOOD
        if self._striking is not None and self._striking.strikes():
            shown = self._striking.fault
        assert isinstance(shown, Certificate)
        request.settimeout(10.0)
        with self._contexts[shown].wrap_socket(request, server_side=True) as stream:
            super().finish_request(stream, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where the client has left; that is what most of this is about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        self._reply(dict(parse_qsl(form)))

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _reply(self, form: Mapping[str, str]) -> None:
        _, name, *_, endpoint = self.path.partition("?")[0].split("/")
        endpoint = "metadata" if endpoint == "openid-configuration" else endpoint
        issuer = self.server.issuers[name]
        issuer.note(endpoint)
        fault = issuer.fault
        if isinstance(fault, Answer | Stuck) and issuer.endpoint == endpoint and issuer.strikes():
            self._strike(fault)
        else:
            bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
            self._send(issuer.answer(endpoint, bearer=bearer, form=form))

    def _strike(self, fault: Answer | Stuck) -> None:
        match fault:
            case Answer():
                self._send(fault)
            case Stuck.HANG:
                self.server.stopping.wait()
            case Stuck.TRICKLE:
                self._send_head(200, {"content-type": "application/json"})
                while not self.server.stopping.wait(0.02):
                    self.wfile.write(b" ")
            case Stuck.DROP:
                pass

    def _send(self, answer: Answer) -> None:
        length = {"content-length": str(len(answer.body))}
        self._send_head(answer.status, {**length, **answer.headers})
        self.wfile.write(answer.body)

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _json(content: object) -> Answer:
    return Answer(200, json.dumps(content).encode(), {"content-type": "application/json"})


def _new_key() -> ECKey:
    kid = secrets.token_hex(4)
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


def _dates(lifetime: timedelta, skew: timedelta) -> dict[str, int]:
    begin = datetime.now(UTC) + skew
    return {"iat": int(begin.timestamp()), "exp": int((begin + lifetime).timestamp())}
