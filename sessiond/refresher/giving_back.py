"""Has an issuer end refresh tokens that nobody here will send again (RFC 7009), each once."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import structlog
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.changes import DropRefreshToken
from sessiond.core.errors import IssuerUnavailable, StoreError
from sessiond.core.grant import Grant, GrantId
from sessiond.core.queries import Request
from sessiond.core.secret import Secret
from sessiond.refresher.refresh_issuer import RefreshIssuer, TokenSource

AT_ONCE = 4  # tokens given back at a time to one issuer
EVERY = 0.05  # seconds that each of them is followed by, so that the loop has time for logins
MAX_WAITING = 100_000  # for one issuer; beyond that its operators have to end them

A = TypeVar("A")

log = structlog.get_logger()


class RefreshTokens(Protocol):
    """Has the refresh tokens of dropped grants. A `sessiond.table.Table` does."""

    async def refresh_token(self, grant: GrantId) -> Secret | None: ...

    async def ask(self, request: Request[A]) -> A: ...


class GivingBack:
    """Gives back what dropped grants have left: a queue for each issuer, and few tasks for it.

    When everybody is revoked, that is everybody's refresh token at once.
    """

    def __init__(
        self,
        kept: RefreshTokens,
        refresh_issuers: Callable[[str], RefreshIssuer | None],
        containment: Containment,
        clock: Clock,
    ) -> None:
        """Make it.

        Args:
            kept: The refresh tokens, until they are given back.
            refresh_issuers: By the issuer's name, as they are when it is a token's turn.
            containment: Where exceptions end that no issuer's part may raise.
            clock: Paces it.
        """
        self._kept = kept
        self._clock = clock
        self._refresh_issuers = refresh_issuers
        self._containment = containment
        self._waiting: defaultdict[str, deque[Grant]] = defaultdict(deque)
        self._at_work = Counter[str]()  # tasks by issuer

    def owe(self, grant: Grant, tasks: TaskGroup) -> None:
        """Give back what a grant has in its turn."""
        issuer, waiting = grant.issuer, self._waiting[grant.issuer]
        if len(waiting) >= MAX_WAITING:
            log.warning("not revoked at the issuer", issuer=issuer, error="too many wait for it")
            return
        waiting.append(grant)
        if self._at_work[issuer] < AT_ONCE:
            self._at_work[issuer] += 1
            tasks.start_soon(self._work, issuer)

    async def _work(self, issuer: str) -> None:
        try:
            while waiting := self._waiting[issuer]:
                grant, refresh_issuer = waiting.popleft(), self._refresh_issuers(issuer)
                with self._containment.around("token given back", issuer):
                    if refresh_issuer is not None:
                        await self._give_back_in_turn(grant, refresh_issuer)
                with suppress(StoreError):  # else the next start does
                    await self._kept.ask(DropRefreshToken(grant=grant))
                if waiting:
                    await self._clock.sleep(EVERY)
        finally:
            self._at_work[issuer] -= 1
            if not self._at_work[issuer]:
                del self._at_work[issuer], self._waiting[issuer]

    async def _give_back_in_turn(self, grant: Grant, refresh_issuer: RefreshIssuer) -> None:
        """Give back within the budget that the refresh would have had, and to no other issuer.

        That may have got the name meanwhile.
        """
        if grant.iss and grant.iss != refresh_issuer.iss:
            return
        place = (
            refresh_issuer.unproved.place(None, grant.subject)
            if grant.is_unproved
            else refresh_issuer.limiter
        )
        async with place:
            token = await self._kept.refresh_token(grant.id)
            if token is not None:
                source = refresh_issuer.sources.get(grant.client)
                await give_back(token, source, issuer=grant.issuer)


async def give_back(token: Secret, source: TokenSource | None, *, issuer: str) -> None:
    """Give a refresh token back at once; an issuer that cannot end it stops nothing.

    Args:
        token: Nobody is to have it.
        source: The client's that it is bound to: nobody else can (RFC 7009, 2.1). None: it is not
            configured any more.
        issuer: Whose it is, by its configured name.
    """
    if source is None:
        log.warning("not revoked at the issuer", issuer=issuer, error="its client is not there now")
        return
    try:
        revoked = await source.revoke(token)
    except IssuerUnavailable as unavailable:
        log.warning("not revoked at the issuer", issuer=issuer, error=str(unavailable))
    else:
        log.info("revoked at the issuer" if revoked else "no revocation", issuer=issuer)
