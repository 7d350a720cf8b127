"""Asks issuers again for access tokens that came alone, which nothing can refresh."""

from collections.abc import Callable

import structlog

from sessiond.clock import Clock
from sessiond.core.changes import Recheck, Refuse
from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.core.grant import GrantId
from sessiond.core.queries import FindRecheckable
from sessiond.core.secret import Secret
from sessiond.refresher.refresh_issuer import RefreshIssuer
from sessiond.table import Table

log = structlog.get_logger()


class AskingAgain:
    """Owns the access tokens that are asked about: in memory only, so not after a restart."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._access: dict[GrantId, Secret] = {}

    def keep(self, grant: GrantId, access: Secret) -> bool:
        """Keep a grant's access token; say whether there was none before."""
        is_first = grant not in self._access
        self._access[grant] = Secret(access.reveal())  # by itself: what it states is large
        return is_first

    def drop(self, grant: GrantId) -> None:
        """Let go of a grant's access token."""
        self._access.pop(grant, None)

    async def ask(
        self, key: GrantId, refresh_issuer: RefreshIssuer, is_in_use: Callable[[], bool]
    ) -> bool:
        """Ask for one grant, and record the answer; say whether to ask again later.

        Args:
            key: The grant's id.
            refresh_issuer: Asked.
            is_in_use: Whether that issuer is still the one: another would be asked otherwise.

        Raises:
            StoreError: The answer could not be recorded.
        """
        access = self._access.get(key)
        grant = None if access is None else await self._table.ask(FindRecheckable(grant=key))
        if access is None or grant is None:
            self.drop(key)
            return False
        try:
            async with refresh_issuer.limiter:
                verdict = await refresh_issuer.verify(access, now=self._clock.now())
        except TokenRejected as rejected:
            log.info("recheck refused", issuer=grant.issuer, reason=rejected.reason)
            if is_in_use():
                await self._table.ask(Refuse(grant=grant.id, reason=rejected.reason.value))
                return False
        except IssuerUnavailable as unavailable:
            log.warning("recheck put off", issuer=grant.issuer, error=str(unavailable))
        else:
            await self._table.ask(Recheck(grant=grant.id, verdict=verdict))
        return True
