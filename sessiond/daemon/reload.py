"""Reads the configuration again, and swaps one snapshot of it for the next.

A file that is wrong changes nothing. One that is right counts from one step of the event loop on,
for everybody, so nothing is ever judged by half of it: what was verified before and is committed
after is refused by the table, which knows its generation. No connection of a peer that may still
connect is dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from sessiond import config as configuration
from sessiond import log
from sessiond.config import Config
from sessiond.core.errors import ConfigError
from sessiond.core.grant import Grant
from sessiond.daemon import settings
from sessiond.daemon.issuers import RunningIssuer
from sessiond.daemon.resuming import disown, is_answered_for
from sessiond.daemon.services import Endpoints, Services
from sessiond.daemon.snapshot import Current, Snapshot
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

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A configuration that was checked whole: nothing of it can fail any more."""

    config: Config
    running: Mapping[str, RunningIssuer]
    snapshot: Snapshot


class Reload:
    """Applies the file anew whenever asked, one time after the other."""

    def __init__(
        self,
        path: Path,
        config: Config,
        current: Current[Snapshot],
        services: Services,
        endpoints: Endpoints,
        environ: Mapping[str, str],
    ) -> None:
        """Begin with what the daemon was started with.

        Args:
            path: The configuration file.
            config: What it said at the start.
            current: What came of it; nobody else writes there.
            services: Those with more to do than to read what counts now.
            endpoints: The same of what faces the outside.
            environ: Where credentials and systemd are.
        """
        self._started_with = config
        self._path = path
        self._current = current
        self._services = services
        self._endpoints = endpoints
        self._environ = environ
        self._asked = anyio.Event()
        self._scope = anyio.CancelScope()

    def ask(self) -> None:
        """Have the file read again: now, or after the reload that is under way. Never waits."""
        self._asked.set()

    def stop(self) -> None:
        """Begin no more; one that is not applied yet never is."""
        self._scope.cancel()

    async def run(self) -> None:
        """Reload when asked, until stopped."""
        with self._scope:
            while True:
                await self._asked.wait()
                self._asked = anyio.Event()
                systemd.notify(
                    *systemd.reloading(self._services.clock.monotonic()), environ=self._environ
                )
                await self._reload()
                systemd.notify("READY=1", environ=self._environ)

    async def _reload(self) -> None:
        try:
            prepared = await self._prepare()
        except ConfigError as error:
            self._endpoints.view.configuration.refused(str(error), self._services.clock.now())
            for problem in str(error).splitlines():
                logger.error("configuration refused", problem=problem)
            return
        gone = self._apply(prepared)
        logger.info(
            "configuration applied", generation=self._endpoints.view.configuration.generation
        )
        for key in self._endpoints.view.configuration.needs_restart:
            logger.warning("needs a restart", key=key)
        await disown(self._services.table, gone)
        await self._services.subscribers.apply()

    async def _prepare(self) -> Prepared:
        """Read and check everything, away from the loop: a file or a directory may be slow."""
        away = partial(anyio.to_thread.run_sync, abandon_on_cancel=True)
        config = await away(configuration.load, self._path)
        looked_up = await away(settings.look_up, config, self._environ)
        await self._services.subscribers.check(config.subscribers)
        running = await self._services.issuers.build(config)
        snapshot = settings.snapshot_of(config, looked_up, running)
        return Prepared(config=config, running=running, snapshot=snapshot)

    def _apply(self, prepared: Prepared) -> list[Grant]:
        """Have the new snapshot count, without a pause; return the grants of issuers that are gone.

        All after the swap is what must be done beside reading it.
        """
        before, now = self._current.now, prepared.snapshot
        self._current.now = now
        log.configure(now.log_format, now.log_level)
        look_at_descriptors(now.listen.max_connections)
        services, endpoints = self._services, self._endpoints
        services.issuers.use(prepared.running)
        services.gate.change_issuers()
        services.refresher.forget_gone()
        endpoints.listener.end_disallowed()
        if now.access != before.access:
            endpoints.control.end_streams()
        endpoints.view.configuration.applied(
            services.clock.now(),
            needs_restart=needing_restart(self._started_with, prepared.config),
        )
        grants, rules = services.table.grants(), now.table.rules
        return [grant for grant in grants if not is_answered_for(grant, rules)]


def needing_restart(started_with: Config, now: Config) -> Sequence[str]:
    """Return the keys whose new values count from the next start on."""
    return tuple(
        f"{table}.{key}"
        for table, key in NEEDS_RESTART
        if getattr(getattr(started_with, table), key) != getattr(getattr(now, table), key)
    )
