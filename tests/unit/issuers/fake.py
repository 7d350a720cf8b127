"""An issuer's end of IssuerHttp in memory: it says what it is told, and keeps what it heard.

No issuer's rules are in it, so that a test can have any answer to any request. Where those rules
are wanted, sessiond.testing.FakeIssuer has them.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import anyio
import httpx

from sessiond.issuers.connection import Answer, Request
from sessiond.issuers.discovery import Discovery, Endpoint
from sessiond.issuers.http import IssuerHttp
from tests.unit.jwt.forge import NOW

ISSUER = "https://login.example.com/"
METADATA = "/.well-known/openid-configuration"
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: nothing here leaves the process

Answering = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class FakeNetwork:
    """Stands for `sessiond.issuers.network.Network`: requests and answers as httpx has them."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.closed = 0  # times

    async def exchange(self, request: Request) -> Answer:
        target = request.target
        said = self._answering(
            httpx.Request(
                request.method,
                f"{target.origin.scheme}://{target.authority}{target.path}",
                headers=request.headers,
                content=request.content,
                extensions={"is_repeatable": request.is_repeatable},
            )
        )
        response = said if isinstance(said, httpx.Response) else await said
        headers = {name.lower(): value for name, value in response.headers.raw}
        return Answer(response.status_code, headers, None, await response.aread())

    def close(self) -> None:
        self.closed += 1


class HandClock:
    """A clock that moves when it is told to, and when somebody sleeps by it."""

    def __init__(self) -> None:
        self._passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return 1000.0 + self._passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed += seconds
        await anyio.lowlevel.checkpoint()

    def pass_(self, seconds: float) -> None:
        self._passed += seconds


class IssuerStub:
    """Answers by path. What it was not told to answer is 404."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.requests: list[httpx.Request] = []
        self._answers: dict[str, Answering] = {}

    def on(self, path: str, answer: Answering) -> None:
        self._answers[path] = answer

    def says(
        self,
        path: str,
        content: object = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer this from now on: JSON, or bytes as they are."""

        def answer(_: httpx.Request) -> httpx.Response:
            if isinstance(content, bytes):
                return httpx.Response(status, content=content, headers=headers)
            return httpx.Response(status, json=content, headers=headers)

        self.on(path, answer)

    def publishes(self, **members: object) -> None:
        """Serve metadata with all endpoints, but for these members."""
        self.says(
            METADATA,
            {
                "issuer": ISSUER,
                "jwks_uri": f"{ISSUER}keys",
                "introspection_endpoint": f"{ISSUER}introspect",
                "token_endpoint": f"{ISSUER}token",
                "userinfo_endpoint": f"{ISSUER}userinfo",
                "revocation_endpoint": f"{ISSUER}revoke",
                **members,
            },
        )

    def asked(self, path: str) -> int:
        """How many requests came for a path."""
        return sum(request.url.path == path for request in self.requests)

    @property
    def network(self) -> FakeNetwork:
        return FakeNetwork(self._answer)

    def http(
        self,
        *,
        timeout: float = 5.0,
        concurrency: int = 64,
        note: Callable[[object], object] = lambda _: None,
    ) -> IssuerHttp:
        return IssuerHttp(
            note=note,
            timeout=timeout,
            concurrency=concurrency,
            clock=self.clock,
            tls=TLS,
            network=self.network,
        )

    def discovery(self, http: IssuerHttp, **fixed: str) -> Discovery:
        return Discovery(
            http=http,
            clock=self.clock,
            issuer=ISSUER,
            fixed={Endpoint[name.upper()]: url for name, url in fixed.items()},
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.get(request.url.path)
        said = httpx.Response(404) if answer is None else answer(request)
        return said if isinstance(said, httpx.Response) else await said


def form_of(request: httpx.Request) -> dict[str, str]:
    return dict(parse_qsl(request.content.decode(), keep_blank_values=True))
