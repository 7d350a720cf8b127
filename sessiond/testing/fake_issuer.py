"""An OAuth issuer that does what a test says, well or badly."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Unpack
from urllib.parse import urlsplit

import anyio
import httpx

from sessiond.api import Secret
from sessiond.clock import Clock, SystemClock
from sessiond.testing.answer import Answer, Asked
from sessiond.testing.endpoints import PATHS, Endpoints
from sessiond.testing.faults import Fault, FaultMembers, Faults
from sessiond.testing.granting import Brings, Grants
from sessiond.testing.issued import Issued
from sessiond.testing.loopback import Loopback, Tls

URL = "https://issuer.example.com"


class FakeIssuer:
    """Discovery, keys, sign-in, refresh (rotating), introspection, userinfo and revocation.

    People sign in by browser or with a device code, with their name and password: on pages whose
    forms have the fields `user` and `password`, `code` for a device's, and `answer`, which is
    `deny` where they do not want to. The browser is remembered, so that `prompt=none` works.

    In process it is asked through `client()`, on loopback inside `with issuer.serve():`, which a
    whole daemon can be given as its issuer with `insecure_http = true`. What was asked is in
    `asked`. Everything may be changed while it runs, from any thread.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        clock: Clock | None = None,
        audience: str = "api://kdb",
        claims: Mapping[str, Any] | None = None,
        life: float = 3600.0,
        detects_reuse: bool = False,
        client: str = "",
        passwords: Mapping[str, str] | None = None,
        programs: Mapping[str, str] | None = None,
        on_answer: Callable[[Asked, Answer], object] = lambda _asked, _answer: None,
    ) -> None:
        """Begin with one key (ES256) and no faults.

        Args:
            url: What it calls itself, as `iss`; `serve` changes it.
            clock: For the times of tokens and for being slow; else the machine's.
            audience: The `aud` of its tokens.
            claims: More that they say, or others instead; None leaves one out.
            life: Seconds that an access token is good, where nothing else is said.
            detects_reuse: A refresh token that comes twice ends its whole sign-in.
            client: Only this one may sign in and refresh, with any secret; empty = whoever asks is
                believed to be a client.
            passwords: By user: its pages take them, and the token endpoint too (RFC 6749, 4.3).
            programs: Client ids with their secrets: the token endpoint gives these clients, and no
                others, tokens of their own (RFC 6749, 4.4).
            on_answer: Called with each request and its answer, as that is about to be sent.
        """
        self.asked: list[Asked] = []
        self.skew = 0.0  # seconds by which its clock is ahead
        self._clock = clock or SystemClock()
        self._on_answer = on_answer
        self._faults = Faults()
        self._grants = Grants(
            url,
            lambda: self._clock.now().timestamp() + self.skew,
            audience=audience,
            claims=claims or {},
            life=life,
            detects_reuse=detects_reuse,
        )
        self._endpoints = Endpoints(
            self._grants, client=client, programs=programs or {}, passwords=passwords or {}
        )
        self._lock = threading.RLock()  # calls on loopback come in threads

    @property
    def url(self) -> str:
        """Where it is, and what it calls itself."""
        return self._grants.url

    @url.setter
    def url(self, url: str) -> None:
        self._grants.url = url

    def issue(
        self,
        user: str = "alice",
        *,
        roles: tuple[str, ...] = ("reader",),
        expires_in: float | None = None,
        is_opaque: bool = False,
        by_stranger: bool = False,
        **claims: Any,
    ) -> Secret:
        """Return an access token.

        Args:
            user: `preferred_username`; `sub` depends on it.
            roles: The claim of that name.
            expires_in: Seconds from now; negative for one that is over.
            is_opaque: A random text, which introspection and userinfo know.
            by_stranger: Signed with a key that is not ours, under our key's name.
            claims: More of them, or others instead; None leaves one out.
        """
        with self._lock:
            grant = self._grants.grant(
                user, expires_in, is_opaque=is_opaque, roles=list(roles), **claims
            )
            return Secret(self._grants.access(grant, by_stranger=by_stranger)[0])

    def sign_in(
        self,
        user: str = "alice",
        *,
        roles: tuple[str, ...] = ("reader",),
        expires_in: float | None = None,
        is_opaque: bool = False,
        **claims: Any,
    ) -> Issued:
        """Return an access token and a refresh token, which the token endpoint takes once."""
        with self._lock:
            grant = self._grants.grant(
                user, expires_in, is_opaque=is_opaque, roles=list(roles), **claims
            )
            return Issued(
                access=Secret(self._grants.access(grant)[0]),
                refresh=Secret(self._grants.refresh(grant)),
                expires_in=grant.expires_in,
            )

    def revoke(self, token: Secret) -> None:
        """End the grant that a token belongs to: introspection, userinfo and refresh say so."""
        with self._lock:
            self._grants.revoke(token.reveal())

    def disable(self, user: str) -> None:
        """Let a user neither sign in nor refresh from now on, or give a program nothing."""
        with self._lock:
            self._grants.disabled.add(user)

    def user_of(self, token: Secret) -> str:
        """Return whose token this is, whether it is good or not; empty = nobody's."""
        with self._lock:
            grant = self._grants.of(token.reveal())
        return "" if grant is None else grant.user

    def rotate_keys(self, *, withdraw: bool = True) -> None:
        """Sign with a new key from now on; the earlier ones are withdrawn, or stay known."""
        with self._lock:
            self._grants.rotate_keys(withdraw=withdraw)

    def keys(self) -> dict[str, Any]:
        """Return the key set that it publishes (RFC 7517, 5)."""
        return self._grants.keys()

    def publish(self, **members: str | None) -> None:
        """Have its metadata say this from now on, true or not; None leaves a member out."""
        with self._lock:
            self._endpoints.metadata.update(members)

    def bring(
        self,
        *,
        expires_in: float | None = None,
        skew: float = 0.0,
        answer: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> None:
        """Have refreshes bring other tokens than the sign-in did.

        Args:
            expires_in: Seconds that their access tokens are good.
            skew: Seconds by which their times are ahead.
            answer: Other members of the token endpoint's answer; None leaves one out.
            claims: Others in the access tokens.
        """
        with self._lock:
            self._endpoints.brings = Brings(
                expires_in=expires_in, skew=skew, answer=answer or {}, claims=claims
            )

    def fail(
        self, endpoint: str, *, times: int | None = None, **fault: Unpack[FaultMembers]
    ) -> None:
        """Answer badly from now on; what is not said stays well.

        Args:
            endpoint: discovery, keys, authorization, device_authorization, device (the page for
                its codes), token, introspection, userinfo, revocation or end_session.
            times: So often, then well again; None = until `mend`.
            fault: `delay`, `hang`, `drop`, `pace`, `endless`, `status`, `error`, `retry_after`,
                `body`, `headers`: see `Fault`.
        """
        if endpoint not in PATHS.values():
            raise ValueError(f"no endpoint {endpoint!r}; there are: {', '.join(PATHS.values())}")
        self._faults.begin(endpoint, Fault(**fault), times=times)

    def mend(self) -> None:
        """Answer well again, everywhere."""
        self._faults.end()

    def calls(self, endpoint: str) -> int:
        """Return how often an endpoint, or a path below `url`, was asked."""
        with self._lock:
            return [self._endpoint(asked) for asked in self.asked].count(endpoint)

    def client(self) -> httpx.AsyncClient:
        """Return a client that reaches this issuer alone, without any network.

        A fault's times are slept on the clock; httpx's timeouts do not count here.
        """
        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    @contextmanager
    def serve(self, *, port: int = 0, tls: Tls | None = None) -> Iterator[str]:
        """Be there on loopback while the block runs; `url` is its address from then on.

        Args:
            port: 0 = any that is free.
            tls: See `Loopback`.
        """
        with Loopback(self.respond, port=port, tls=tls) as served:
            self.url = served.url
            yield served.url

    def respond(self, asked: Asked, wait: Callable[[float], None]) -> Answer:
        """Answer one request, on a `Loopback`."""
        fault = self._noted(asked)
        wait(fault.seconds)
        return self._answer(asked, fault)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        asked = Asked(
            method=request.method,
            path=request.url.path,
            parameters=request.url.query.decode("ascii"),
            headers=dict(request.headers),
            content=request.content,
        )
        fault = self._noted(asked)
        if fault.hang:
            await anyio.sleep_forever()
        await self._clock.sleep(fault.delay)
        answer = self._answer(asked, fault)
        if answer.is_dropped:
            raise httpx.RemoteProtocolError("the issuer closed the connection")
        content = self._paced(answer) if answer.pace else answer.content
        return httpx.Response(answer.status, headers=answer.headers, content=content)

    async def _paced(self, answer: Answer) -> AsyncIterator[bytes]:
        for byte in answer.content:
            yield bytes([byte])
            await self._clock.sleep(answer.pace)
        while answer.is_endless:
            yield b" "
            await self._clock.sleep(answer.pace)

    def _noted(self, asked: Asked) -> Fault:
        with self._lock:
            self.asked.append(asked)
        return self._faults.take(self._endpoint(asked)) or Fault()

    def _endpoint(self, asked: Asked) -> str:
        below = asked.path.removeprefix(urlsplit(self.url).path.rstrip("/"))
        return PATHS.get(below, below)

    def _answer(self, asked: Asked, fault: Fault) -> Answer:
        with self._lock:
            answer = fault.on(lambda: self._endpoints.answer(self._endpoint(asked), asked))
        self._on_answer(asked, answer)
        return answer
