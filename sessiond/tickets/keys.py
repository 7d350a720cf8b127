"""The keys that tickets are signed with: made, loaded, published and dropped in their time.

The private halves are sealed at rest, and in memory only as what signs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import anyio
import structlog

from sessiond.core.changes import DropTicketKey, KeepTicketKey
from sessiond.core.errors import StoreError, TableClosed
from sessiond.core.queries import ListTicketKeys
from sessiond.core.ticket import TicketKey
from sessiond.notifier import Notifier
from sessiond.racing import first
from sessiond.tickets import rotation
from sessiond.tickets.needs import TicketServices
from sessiond.tickets.signing import SigningKey

LOOK_EVERY = 3600.0  # seconds: the wall clock may have been set meanwhile
AGAIN_IN = 10.0  # seconds, where a key could not be kept

log = structlog.get_logger()


class TicketKeys:
    """All of them. While tickets are off none is made, and none counts."""

    def __init__(self, services: TicketServices) -> None:
        self._services = services
        self._rows: dict[str, TicketKey] = {}
        self._signing: dict[str, SigningKey] = {}
        self._news = Notifier()
        self._begun = anyio.Event()
        self._is_loaded = False

    @property
    def published(self) -> Sequence[TicketKey]:
        """The keys that a ticket may be signed with, or will be, oldest first."""
        return tuple(self._rows.values()) if self._services.settings() is not None else ()

    @property
    def public(self) -> Mapping[str, bytes]:
        """Their public halves by `kid`: 32 bytes each."""
        return {key.id: key.public for key in self.published}

    @property
    def signing(self) -> SigningKey | None:
        """What signs now; None: nothing does."""
        found = rotation.signer(self.published, now=self._services.clock.now())
        return None if found is None else self._signing.get(found.id)

    @property
    def signing_since(self) -> datetime | None:
        """When the key that signs has begun to."""
        found = rotation.signer(self.published, now=self._services.clock.now())
        return None if found is None else rotation.signs_since(found)

    @property
    def next_due_at(self) -> datetime | None:
        """When the next one is made; None: there is none yet, or tickets are off."""
        published = self.published
        return rotation.next_due_at(published[-1]) if published else None

    def look(self) -> None:
        """Have it seen to at once whether there must be another key: tickets may be on by now."""
        self._news.notify()

    async def begin(self) -> None:
        """Return once the keys of before are read, and there is one to sign with.

        Or once it was tried in vain: `run` goes on trying, and what needs no ticket works.
        """
        await self._begun.wait()

    async def run(self) -> None:
        """See to the keys until cancelled, or until the table takes nothing more."""
        while True:
            seen = self._news.count
            try:
                await self.see_to()
                wait = self._until_next()
            except TableClosed:
                return
            except StoreError as error:
                log.warning("ticket keys put off", error=str(error), again_in=AGAIN_IN)
                wait = AGAIN_IN
            finally:
                self._begun.set()
            await first(
                partial(self._services.clock.sleep, wait), partial(self._news.wait_beyond, seen)
            )

    async def see_to(self) -> None:
        """Read what is kept, the first time; make the next key and drop the last where it is time.

        Raises:
            StoreError: It could not be read or written.
        """
        if not self._is_loaded:
            await self._load()
        now, table = self._services.clock.now(), self._services.table
        keys = list(self._rows.values())
        if self._services.settings() is not None and rotation.is_next_due(keys, now=now):
            signing = SigningKey.generated()
            made_at = rotation.made_at(keys, now=now)
            key = TicketKey(id=signing.id, public=signing.public, made_at=made_at)
            await table.ask(KeepTicketKey(key=key, secret=signing.kept()))
            self._rows[key.id], self._signing[key.id] = key, signing
            log.info("ticket key made", kid=key.id, signs_at=rotation.signs_since(key).isoformat())
        for key in rotation.outlived(self._rows.values(), now=now):
            await table.ask(DropTicketKey(id=key.id))
            del self._rows[key.id], self._signing[key.id]
            log.info("ticket key dropped", kid=key.id)

    def _until_next(self) -> float:
        """Return the seconds until there is something to do, at most `LOOK_EVERY`."""
        moment = rotation.wakes_at(tuple(self._rows.values()))
        if moment is None or self._services.settings() is None:  # `look` tells when they are on
            return LOOK_EVERY
        left = (moment - self._services.clock.now()).total_seconds()
        return min(max(left, AGAIN_IN), LOOK_EVERY)

    async def _load(self) -> None:
        """Read the keys that are kept. One whose private half is lost is of no use any more."""
        for key in await self._services.table.ask(ListTicketKeys()):
            kept = await self._services.table.secret(key)
            signing = None if kept is None else SigningKey.of(kept)
            if signing is None or signing.public != key.public:
                log.error("ticket key lost", kid=key.id)
                await self._services.table.ask(DropTicketKey(id=key.id))
            else:
                self._rows[key.id], self._signing[key.id] = key, signing
        self._is_loaded = True
