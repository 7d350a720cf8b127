"""Reads the configuration again. The one place that knows what is applied, and what is not.

A file that is wrong changes nothing. One that is right is applied between two steps of the event
loop, so nothing is ever judged by half of it: what was verified before and is committed after is
refused by the table, which knows its generation. No connection of a peer that may still connect is
dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
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
from sessiond.daemon.settings import LookedUp
from sessiond.system import systemd
from sessiond.system.hardening import look_at_descriptors

# Bound or opened once, at the start. Every other key is applied.
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
    looked_up: LookedUp
    running: Mapping[str, RunningIssuer]


class Reload:
    """Applies the file anew whenever asked, one time after the other."""

    def __init__(
        self,
        path: Path,
        config: Config,
        services: Services,
        endpoints: Endpoints,
        environ: Mapping[str, str],
    ) -> None:
        """Begin with what the daemon was started with.

        Args:
            path: The configuration file.
            config: What it said at the start.
            parts: The services.
            front: What faces the outside.
            environ: Where credentials and systemd are.
        """
        self.config = config  # what is applied
        self._started_with = config
        self._path = path
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
        await self._services.subscribers.apply(prepared.config.subscribers)

    async def _prepare(self) -> Prepared:
        """Read and check everything, away from the loop: a file or a directory may be slow."""
        away = partial(anyio.to_thread.run_sync, abandon_on_cancel=True)
        config = await away(configuration.load, self._path)
        looked_up = await away(settings.look_up, config, self._environ)
        await self._services.subscribers.check(config.subscribers)
        running = await self._services.issuers.build(config)
        return Prepared(config=config, looked_up=looked_up, running=running)

    def _apply(self, new: Prepared) -> list[Grant]:
        """Put the new values in, without a pause; return the grants of issuers that are gone."""
        log.configure(new.config.log.format, new.config.log.level)
        services, config, running = self._services, new.config, new.running
        rules = settings.rules_of(config, running)
        services.table.use(rules, keep_events=settings.keep_events(config))
        gone = [grant for grant in services.table.grants() if not is_answered_for(grant, rules)]
        services.issuers.use(running)
        for each in running.values():
            each.breaker.slow_after = settings.slow_after(config)
        services.gate.use(settings.gate_issuers_of(config, running), waiting=config.login.waiting)
        services.refresher.use(settings.refresh_issuers_of(running), recheck=config.refresh.recheck)
        services.timekeeper.use(settings.witnesses_of(running))
        services.login_services.proved = rules.proved
        services.subscribers.use(settings.delivery_rules(config))
        self._apply_to_front(new)
        self.config = config
        return gone

    def _apply_to_front(self, new: Prepared) -> None:
        endpoints, config, listen = self._endpoints, new.config, new.config.listen
        welcome = replace(
            endpoints.welcome,
            deadline=timedelta(seconds=config.login.deadline),
            key=new.looked_up.proof_key,
        )
        endpoints.reception.context = replace(
            endpoints.reception.context,
            welcome=welcome.answer,
            deadline=config.login.deadline,
            max_message=listen.max_message,
        )
        endpoints.reception.context.audience.allowed = new.looked_up.subscribers
        endpoints.listener.use(new.looked_up.allowed, max_connections=listen.max_connections)
        look_at_descriptors(listen.max_connections)
        endpoints.control.use(new.looked_up.access)
        view = endpoints.view
        view.issuers = settings.views_of(new.running)
        view.proved = self._services.login_services.proved
        view.deadline = config.login.deadline
        view.configuration.applied(
            self._services.clock.now(), needs_restart=needing_restart(self._started_with, config)
        )


def needing_restart(started_with: Config, now: Config) -> Sequence[str]:
    """Return the keys whose new values count from the next start on."""
    return tuple(
        f"{table}.{key}"
        for table, key in NEEDS_RESTART
        if getattr(getattr(started_with, table), key) != getattr(getattr(now, table), key)
    )
