"""Reads the configuration again, and swaps one snapshot of it for the next.

A file that is wrong changes nothing. One that is right counts from one turn of the event loop on,
for everybody, so nothing is ever judged by half of it: what was verified before and is committed
after is refused by the table, which knows its generation. No connection of a peer that may still
connect is dropped. Whose sessions end by it is known, and said, before it counts.
"""

from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from sessiond import config as configuration
from sessiond import log
from sessiond.config import Config, credentials
from sessiond.core.changes import RecordReload
from sessiond.core.errors import ConfigError, StoreError
from sessiond.core.grant import Grant
from sessiond.core.queries import Ping
from sessiond.core.session import Session
from sessiond.daemon import settings
from sessiond.daemon.ending import ending_by, has_other_access
from sessiond.daemon.issuers import RunningIssuer
from sessiond.daemon.resuming import disown, is_answered_for, reassess
from sessiond.daemon.services import Endpoints, Services
from sessiond.daemon.snapshot import Current, Snapshot
from sessiond.daemon.sources import BuiltSource
from sessiond.notifier import Notifier
from sessiond.store.sealing import KeyRing
from sessiond.system import systemd
from sessiond.system.hardening import look_at_descriptors

# Bound or opened once, at the start. Every other key is in the snapshot.
NEEDS_RESTART = (
    ("listen", "port"),
    ("listen", "directory"),
    ("listen", "path"),
    ("listen", "control"),
    ("listen", "control_group"),
    ("store", "path"),
    ("store", "key_file"),
)

_away = partial(anyio.to_thread.run_sync, abandon_on_cancel=True)

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What was read at the start, and is opened by that until the end."""

    config: Config
    ring: KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadOutcome:
    """What a reload has done, or would do."""

    applied: bool
    errors: tuple[str, ...] = ()  # why the file changes nothing, a line for each problem
    needs_restart: tuple[str, ...] = ()  # keys whose new values count from the next start on
    would_end: Mapping[str, int] = field(default_factory=dict)  # live sessions, by the issuer
    ended: int = 0  # of those; who was cut off has `[login] grace` left, and is not counted yet


STOPPING = ReloadOutcome(applied=False, errors=("the daemon is stopping",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A configuration that was checked whole: nothing of it can fail any more."""

    config: Config
    ring: KeyRing
    running: Mapping[str, RunningIssuer]
    sources: Mapping[str, BuiltSource]
    snapshot: Snapshot


@dataclass(slots=True, kw_only=True)
class _Order:
    """A reload that somebody waits for."""

    dry_run: bool
    outcome: ReloadOutcome = STOPPING
    done: anyio.Event = field(default_factory=anyio.Event)


class Reload:
    """Applies the file anew whenever asked, one time after the other."""

    def __init__(
        self,
        path: Path,
        started: Started,
        current: Current[Snapshot],
        services: Services,
        endpoints: Endpoints,
        environ: Mapping[str, str],
    ) -> None:
        """Begin with what the daemon was started with.

        Args:
            path: The configuration file.
            started: What it and its key said at the start.
            current: What came of it; nobody else writes there.
            services: Those with more to do than to read what counts now.
            endpoints: The same of what faces the outside.
            environ: Where credentials and systemd are.
        """
        self._started_with = started.config
        self._ring = started.ring
        self._path = path
        self._current = current
        self._services = services
        self._endpoints = endpoints
        self._environ = environ
        self._is_asked = False
        self._must_reassess = False  # sessions are not judged yet by what counts
        self._orders = deque[_Order]()
        self._news = Notifier()
        self._scope = anyio.CancelScope()

    async def __call__(self, *, dry_run: bool) -> ReloadOutcome:
        """Read the file again and apply it, or with `dry_run` say what that would do."""
        order = _Order(dry_run=dry_run)
        if not self._scope.cancel_called:
            self._orders.append(order)
            self._news.notify()
            await order.done.wait()
        return order.outcome

    def ask(self) -> None:
        """Have the file read again: now, or after the reload that is under way. Never waits."""
        self._is_asked = True
        self._news.notify()

    def stop(self) -> None:
        """Begin no more; one that is not applied yet never is."""
        self._scope.cancel()

    async def run(self) -> None:
        """Reload when asked, until stopped."""
        try:
            with self._scope:
                while True:
                    await self._news.wait_for(lambda: self._is_asked or bool(self._orders))
                    await self._next()
        finally:
            for order in self._orders:
                order.done.set()

    async def _next(self) -> None:
        if self._is_asked:
            self._is_asked = False
            outcome = await self._reload()
            if outcome.applied:
                await self._tell(outcome)
            return
        order = self._orders[0]
        order.outcome = await (self._try() if order.dry_run else self._reload())
        self._orders.popleft().done.set()

    async def _try(self) -> ReloadOutcome:
        """Say what the file as it is now would do."""
        try:
            prepared = await self._prepare()
        except ConfigError as error:
            return ReloadOutcome(applied=False, errors=tuple(str(error).splitlines()))
        await self._services.issuers.discard(prepared.running)
        self._services.source_builder.discard(prepared.sources)
        ending = await self._ending(prepared.snapshot)
        return ReloadOutcome(
            applied=False,
            needs_restart=needing_restart(self._started_with, prepared.config),
            would_end=Counter(each.principal.issuer for each in ending),
        )

    async def _reload(self) -> ReloadOutcome:
        now = self._services.clock.monotonic()
        systemd.notify(*systemd.reloading(now), environ=self._environ)
        outcome = await self._applied()
        systemd.notify("READY=1", environ=self._environ)
        return outcome

    async def _applied(self) -> ReloadOutcome:
        try:
            prepared = await self._prepare()
        except ConfigError as error:
            self._endpoints.view.configuration.refused(str(error), self._services.clock.now())
            problems = str(error).splitlines()
            for problem in problems:
                logger.error("configuration refused", problem=problem)
            return ReloadOutcome(applied=False, errors=tuple(problems))
        ending = await self._ending(prepared.snapshot)
        would_end = Counter(each.principal.issuer for each in ending)
        for issuer, number in would_end.items():
            logger.warning("configuration ends sessions", issuer=issuer, sessions=number)
        self._must_reassess |= has_other_access(self._current.now, prepared.snapshot)
        gone = self._apply(prepared)
        needs_restart = self._endpoints.view.configuration.needs_restart
        for key in needs_restart:
            logger.warning("needs a restart", key=key)
        with anyio.CancelScope(shield=True):  # it counts by now: all of it, or a stop finds half
            await self._tell_key()
        await disown(self._services.table, gone)
        if self._must_reassess:
            self._must_reassess = not await reassess(self._services.table)
        left = {each.id for each in self._services.table.sessions()} if ending else set()
        ended = Counter(each.principal.issuer for each in ending if each.id not in left)
        logger.info(
            "configuration applied",
            generation=self._endpoints.view.configuration.generation,
            ended=dict(ended),
        )
        await self._services.subscribers.apply()
        return ReloadOutcome(
            applied=True,
            needs_restart=tuple(needs_restart),
            would_end=would_end,
            ended=ended.total(),
        )

    async def _prepare(self) -> Prepared:
        """Read and check everything, away from the loop: a file or a directory may be slow."""
        config = await _away(configuration.load, self._path)
        ring = await _away(self._read_key)
        looked_up = await _away(settings.look_up, config, self._environ)
        await self._services.subscribers.check(config.subscribers)
        sources = await self._services.source_builder.build(config)
        try:
            running = await self._services.issuers.build(config)
        except BaseException:
            self._services.source_builder.discard(sources)
            raise
        snapshot = settings.snapshot_of(config, looked_up, running, sources)
        return Prepared(
            config=config, ring=ring, running=running, sources=sources, snapshot=snapshot
        )

    def _read_key(self) -> KeyRing:
        """Return the store's keys as they are now, where the daemon was started to look for them.

        Raises:
            ConfigError: They cannot be read, or the key that has sealed until now is not there.
        """
        started = self._started_with
        text = credentials.find_store_key(
            started.store.key_file, database=settings.database_of(started), environ=self._environ
        )
        ring = self._ring if text is None else KeyRing.from_text(text)
        if not ring.opens_all_of(self._ring):
            raise ConfigError(
                f"store.key_file: key {self._ring.current}, with which the database is sealed, is "
                "not there any more, or another one, wanted it: bring it back (`sessiond rekey "
                "--new` makes the next key, and takes the old one out when nothing needs it)"
            )
        return ring

    async def _ending(self, snapshot: Snapshot) -> list[Session]:
        return await ending_by(snapshot, self._current.now, self._services, self._endpoints)

    def _apply(self, prepared: Prepared) -> list[Grant]:
        """Have the new snapshot count, without a pause; return the grants of issuers that are gone.

        All after the swap is what must be done beside reading it.
        """
        before, now = self._current.now, prepared.snapshot
        self._current.now = now
        log.configure(now.log_format, now.log_level)
        look_at_descriptors(now.listen.max_connections)
        services, endpoints = self._services, self._endpoints
        self._ring = prepared.ring
        services.database.seal_with(prepared.ring)
        services.issuers.use(prepared.running)
        services.source_builder.use(prepared.sources)
        services.sources.begin()
        services.gate.change_issuers()
        endpoints.listener.end_disallowed()
        services.connected.end_misnamed(now.names)
        services.estate.reload()
        services.tickets.keys.look()
        if now.access != before.access:
            endpoints.control.end_streams()
        endpoints.view.configuration.applied(
            services.clock.now(),
            needs_restart=needing_restart(self._started_with, prepared.config),
        )
        grants, rules = services.table.grants(), now.table.rules
        return [grant for grant in grants if not is_answered_for(grant, rules)]

    async def _tell(self, outcome: ReloadOutcome) -> None:
        """Record a reload that a signal has asked for: nobody knows whose it was."""
        generation = self._endpoints.view.configuration.generation
        told = RecordReload(generation=generation, by=None, ended=outcome.ended)
        with suppress(StoreError):
            await self._services.table.ask(told)

    async def _tell_key(self) -> None:
        """Tell `sessiond rekey` with which key is sealed, once nothing older is under way."""
        with suppress(StoreError):
            await self._services.table.ask(Ping())
            self._services.database.tell_key()


def needing_restart(started_with: Config, now: Config) -> tuple[str, ...]:
    """Return the keys whose new values count from the next start on."""
    return tuple(
        f"{table}.{key}"
        for table, key in NEEDS_RESTART
        if getattr(getattr(started_with, table), key) != getattr(getattr(now, table), key)
    )
