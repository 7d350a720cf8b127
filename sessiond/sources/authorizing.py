"""An operator signs in for a source, and so brings it its first refresh token.

The daemon is the client: what proves that, and what a code is worth, never leaves it. The program
of the operator opens a page, and hands back what the browser comes with; or it shows a code.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

import anyio
import structlog
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import (
    IssuerUnavailable,
    SessiondError,
    SignInRefused,
    StoreError,
    TokenRejected,
)
from sessiond.core.secret import Secret
from sessiond.refresher.refresh_issuer import Tokens

MAX_SIGN_INS = 16  # at a time; one of a source
LASTS = 600.0  # seconds for a browser; a device code says itself for how long it is good

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePrompt:
    """What an operator is shown who signs in with a device code (RFC 8628, 3.2)."""

    user_code: str
    url: str
    complete_url: str  # where it is entered already; empty: there is no such
    expires_in: float  # seconds
    finish: Callable[[], Awaitable[Tokens]] = field(repr=False)  # waits until he has signed in


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSignIn:
    """What the issuer must be told again when its code is redeemed (RFC 6749, 4.1.3; RFC 7636)."""

    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: Secret


class SourceAuthorizer(Protocol):
    """A source's client where people sign in."""

    async def address(self, sign_in: BrowserSignIn) -> str:
        """Return where a browser is sent.

        Raises:
            IssuerUnavailable: That is not known now, or there is no such page.
        """
        ...

    async def iss_fault(self, iss: str | None) -> str:
        """Return why an answer is not the issuer's (RFC 9207, 2.4); empty where it may be."""
        ...

    async def redeem(self, code: str, sign_in: BrowserSignIn) -> Tokens:
        """Spend a code.

        Raises:
            SignInRefused, TokenRejected: The issuer does not take it, or it is another sign-in's.
            IssuerUnavailable: Nothing is known; a code is not sent twice.
        """
        ...

    async def prompt(self) -> DevicePrompt:
        """Return a new device code. Raises as `redeem`, here and as it is finished."""
        ...


class Standing(StrEnum):
    """How far a sign-in has come."""

    WAITING = "waiting"
    AUTHORIZED = "authorized"
    FAILED = "failed"


Keep = Callable[[Tokens], Awaitable[None]]  # writes what came of it


@dataclass(slots=True, eq=False, kw_only=True)
class SignIn:
    """One of them, until it is over."""

    id: UUID
    source: str
    ends_at: float  # monotonic
    keep: Keep
    authorizer: SourceAuthorizer
    browser: BrowserSignIn | None = None
    standing: Standing = Standing.WAITING
    detail: str = ""  # why it failed
    is_over: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def end(self, fault: str = "") -> None:
        """Say how it ended."""
        self.standing = Standing.FAILED if fault else Standing.AUTHORIZED
        self.detail = fault
        self.is_over.set()

    def cut(self, why: str) -> None:
        """End it from outside; whoever waits for it is told why. What is being written is."""
        if not self.is_over.is_set():
            self.end(why)
        self.scope.cancel()


class Authorizing:
    """Owns the sign-ins that are under way."""

    lasts = LASTS

    def __init__(
        self, clock: Clock, containment: Containment, *, random: Callable[[], str]
    ) -> None:
        """Begin with none; `random` gives 256 random bits as text."""
        self._clock = clock
        self._containment = containment
        self._random = random
        self._tasks: TaskGroup | None = None
        self._sign_ins: dict[str, SignIn] = {}

    def begin(self, tasks: TaskGroup) -> None:
        """Wait for people in these tasks from now on."""
        self._tasks = tasks

    def stop(self) -> None:
        """Wait for nobody any more."""
        self._tasks = None
        for each in self._sign_ins.values():
            each.cut("sessiond is stopping, wanted it at work: begin anew")

    async def by_browser(
        self, source: str, authorizer: SourceAuthorizer, keep: Keep, redirect_uri: str
    ) -> tuple[SignIn, str]:
        """Begin one, and return where the browser is sent.

        Raises:
            IssuerUnavailable: It is not known where, now.
        """
        browser = BrowserSignIn(
            redirect_uri=redirect_uri,
            state=self._random(),
            nonce=self._random(),
            verifier=Secret(self._random()),
        )
        address = await authorizer.address(browser)
        sign_in = self._add(source, authorizer, keep, LASTS)
        sign_in.browser = browser
        return sign_in, address

    async def by_device(
        self, source: str, authorizer: SourceAuthorizer, keep: Keep
    ) -> tuple[SignIn, DevicePrompt]:
        """Begin one, and return what the operator is shown; it goes on by itself.

        Raises:
            SignInRefused, IssuerUnavailable: There is no code.
        """
        prompt = await authorizer.prompt()
        sign_in = self._add(source, authorizer, keep, prompt.expires_in)
        if self._tasks is not None:
            self._tasks.start_soon(self._finish, sign_in, prompt.finish)
        return sign_in, prompt

    def find(self, source: str, id_: UUID) -> SignIn | None:
        """Return a source's sign-in that is under way, or was until a moment ago."""
        self._clear()
        found = self._sign_ins.get(source)
        return None if found is None or found.id != id_ else found

    async def redeem(self, sign_in: SignIn, *, code: str, state: str, iss: str | None) -> None:
        """Take what the issuer has sent the browser back with. An answer to another ends nothing.

        Raises:
            SignInRefused: It is not the answer to this sign-in.
        """
        browser = sign_in.browser
        if browser is None or sign_in.standing is not Standing.WAITING:
            raise SignInRefused("invalid_request", "this sign-in waits for no code")
        if not hmac.compare_digest(browser.state.encode(), state.encode(errors="replace")):
            raise SignInRefused("invalid_request", "state is another sign-in's")
        sign_in.browser = None  # a code is spent once
        await self._finish(sign_in, partial(self._redeemed, sign_in, browser, code, iss))

    async def _redeemed(
        self, sign_in: SignIn, browser: BrowserSignIn, code: str, iss: str | None
    ) -> Tokens:
        fault = await sign_in.authorizer.iss_fault(iss)
        if fault:
            raise SignInRefused("invalid_request", fault)
        return await sign_in.authorizer.redeem(code, browser)

    async def _finish(self, sign_in: SignIn, tokens: Callable[[], Awaitable[Tokens]]) -> None:
        fault = "a fault that nobody expected: see the log (unexpected failure), and report it"
        try:
            with self._containment.around("sign-in", sign_in.source), sign_in.scope:
                fault = await self._kept(sign_in, tokens)
        finally:
            if not sign_in.scope.cancelled_caught:  # else who has cut it said why
                sign_in.end(fault)

    async def _kept(self, sign_in: SignIn, tokens: Callable[[], Awaitable[Tokens]]) -> str:
        """Return why it failed; empty: what it brought is on disk."""
        try:
            found = await tokens()
            if found.refresh_token is None:
                return (
                    "the issuer gave no refresh token, wanted one: have scope ask for it "
                    "(offline_access), and the client's registration allow it"
                )
            with anyio.CancelScope(shield=True):
                await sign_in.keep(found)
        except (SignInRefused, TokenRejected, IssuerUnavailable, StoreError) as error:
            return str(error)
        return ""

    def _add(self, source: str, authorizer: SourceAuthorizer, keep: Keep, seconds: float) -> SignIn:
        self._clear()
        before = self._sign_ins.pop(source, None)
        if before is not None:
            before.cut("another sign-in for this source took its place, wanted one: finish that")
        if len(self._sign_ins) >= MAX_SIGN_INS:
            raise TooManySignIns(f"{MAX_SIGN_INS} sign-ins are under way: wait for one to end")
        sign_in = self._sign_ins[source] = SignIn(
            id=uuid4(),
            source=source,
            ends_at=self._clock.monotonic() + seconds,
            keep=keep,
            authorizer=authorizer,
        )
        return sign_in

    def _clear(self) -> None:
        """Let go of those whose time is over."""
        now = self._clock.monotonic()
        for source, each in [*self._sign_ins.items()]:
            if each.ends_at <= now:
                each.cut("nobody has signed in in time, wanted somebody: begin anew")
                del self._sign_ins[source]


class TooManySignIns(SessiondError):  # noqa: N818 - a state
    """There is no room for another: tell the operator."""
