"""FakeIssuers over TLS, many at one port, each with one thing wrong on demand.

The real issuer (tests/issuer) fails one path for everybody; here each issuer fails by itself, so
that one daemon meets all faults side by side. What is wrong with an answer is FakeIssuer's; what is
wrong before there is one, a certificate or no server at all, is added here.
"""

import socket
import ssl
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import trustme

from sessiond.testing import FakeIssuer
from sessiond.testing.answer import Answer, Asked
from sessiond.testing.endpoints import PATHS
from sessiond.testing.faults import Fault
from sessiond.testing.loopback import Loopback, Tls

HOUR = 3600.0  # seconds


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


Wrong = Fault | Certificate | Gone


class FaultyIssuer(FakeIssuer):
    """One issuer with one user, and what is wrong with one of its endpoints."""

    def __init__(self, name: str, *, endpoint: str, wrong: Wrong, times: int | None = None) -> None:
        """Fail from the start.

        Args:
            name: Its first path segment.
            endpoint: What is struck: discovery, keys, introspection, userinfo or token.
            wrong: What is wrong with it.
            times: How many requests are struck; None = all.
        """
        super().__init__()
        self.name, self.endpoint, self.wrong = name, endpoint, wrong
        self.user = f"{name}@example.test"
        self.bring(expires_in=HOUR)
        self.strike(times)

    def strike(self, times: int | None = None) -> None:
        """Fail from now on, as it fails; `mend` ends it."""
        fault = self.wrong if isinstance(self.wrong, Fault) else Fault()
        self._faults.begin(self.endpoint, fault, times=times)

    def strikes(self) -> bool:
        """Say whether what is wrong strikes a connection, now that one comes."""
        return self._faults.take(self.endpoint) is not None

    @property
    def never_answers(self) -> bool:
        """Whether a request that is struck gets no whole answer."""
        wrong = self.wrong
        return isinstance(wrong, Fault) and (wrong.hang or wrong.endless or wrong.drop)

    def respond(self, asked: Asked, wait: Callable[[float], None]) -> Answer:
        """Answer, and keep no connection where it is the next one that is to be struck."""
        answer = super().respond(asked, wait)
        if isinstance(self.wrong, Certificate):
            return replace(answer, headers={**answer.headers, "Connection": "close"})
        return answer

    def jwt(self, *, lifetime: float = HOUR) -> str:
        """Return a signed access token."""
        return self._issue(lifetime=lifetime, is_opaque=False)

    def opaque(self, *, lifetime: float = HOUR) -> str:
        """Return an access token that only this issuer can judge, marked as a token."""
        return f"bearer:{self._issue(lifetime=lifetime, is_opaque=True)}"

    def pair(self, *, lifetime: float = HOUR) -> str:
        """Return the password that the qStudio plugin sends."""
        issued = self.sign_in(self.user, expires_in=lifetime, **self._about())
        return f"{issued.access.reveal()};{issued.refresh.reveal()}"

    def _issue(self, *, lifetime: float, is_opaque: bool) -> str:
        about = self._about()
        return self.issue(self.user, expires_in=lifetime, is_opaque=is_opaque, **about).reveal()

    def _about(self) -> dict[str, Any]:
        return {"roles": (), "scp": "session.login", "oid": f"oid-{self.name}"}


@contextmanager
def serving(issuers: Iterable[FaultyIssuer]) -> Iterator[Path]:
    """Serve the issuers; give the file of the authority to trust."""
    by_name: dict[str, FaultyIssuer] = {}

    def respond(asked: Asked, wait: Callable[[float], None]) -> Answer:
        return by_name[asked.path.split("/")[1]].respond(asked, wait)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faulty-")))
        contexts = _contexts(folder / "ca.pem")
        home = stack.enter_context(Loopback(respond, tls=lambda: contexts[Certificate.GOOD]))
        refusing = stack.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))  # and nobody listens
        for issuer in issuers:
            by_name[issuer.name] = issuer
            issuer.url = f"{home.url}/{issuer.name}/v2.0"
            match issuer.wrong:
                case Gone.NO_NAME:
                    _move(issuer, "https://issuer.invalid")
                case Gone.REFUSED:
                    _move(issuer, f"https://localhost:{refusing.getsockname()[1]}")
                case Certificate() as shown:
                    showing = _showing(issuer, contexts[shown], contexts[Certificate.GOOD])
                    server = stack.enter_context(Loopback(respond, tls=showing))
                    _move(issuer, server.url)
                case Fault():
                    pass
        yield folder / "ca.pem"


def _move(issuer: FaultyIssuer, home: str) -> None:
    """Have its metadata say that the endpoint is elsewhere."""
    (path,) = [path for path, endpoint in PATHS.items() if endpoint == issuer.endpoint]
    member = "jwks_uri" if issuer.endpoint == "keys" else f"{issuer.endpoint}_endpoint"
    issuer.publish(**{member: f"{home}/{issuer.name}/v2.0{path}"})


def _showing(issuer: FaultyIssuer, wrong: ssl.SSLContext, good: ssl.SSLContext) -> Tls:
    return lambda: wrong if issuer.strikes() else good


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
