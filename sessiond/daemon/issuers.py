"""The issuers at work: built from the configuration, and replaced where it changes."""

import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from sessiond.api import Verifier
from sessiond.clock import Clock
from sessiond.config import Config, IssuerConfig, RoleSourceConfig, credentials
from sessiond.containment import Containment
from sessiond.control.instrumented import (
    InstrumentedTokenSource,
    InstrumentedVerifier,
    InstrumentedWebClient,
)
from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret
from sessiond.daemon.authorities import Trusted, authorities_of
from sessiond.daemon.secrets_digest import digest_of
from sessiond.extensions.issuer_plugins import plugged_in
from sessiond.extensions.roles import AskedRoles, AskedSource, RolesVerifier
from sessiond.gate import Breaker, FairLimiter, IssuerRoute
from sessiond.issuers.build import Issuer, RefreshLimits, build_graph, build_issuer
from sessiond.issuers.health import IssuerHealth
from sessiond.issuers.our_clients import ClientSecrets
from sessiond.metrics import Metrics
from sessiond.refresher import RefreshIssuer, TokenSource
from sessiond.web.web_client import WebClient

# Whoever stops the daemon does not wait for a file that hangs.
_away = partial(anyio.to_thread.run_sync, abandon_on_cancel=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSpec:
    """All that an issuer is built from: equal recipes make equal issuers."""

    config: IssuerConfig
    role_sources: tuple[RoleSourceConfig, ...]  # that are asked for its users
    groups_cache: float  # seconds that Graph's answers are used again; 0 where it is not asked
    leeway: float
    refresh: RefreshLimits
    secrets: bytes = field(repr=False)  # SHA-256 of them
    authorities: bytes = field(repr=False)  # SHA-256 of ca_file; empty: the machine's

    def has_keys_of(self, other: "IssuerSpec") -> bool:
        """Say whether both get the issuer's keys from the same place, trusted by the same word."""
        same = ("issuer", "discovery", "jwks_uri", "insecure_http")
        return self.authorities == other.authorities and all(
            getattr(self.config, key) == getattr(other.config, key) for key in same
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningIssuer:
    """One issuer at work, with all that stays as it is for as long as its spec does."""

    spec: IssuerSpec
    generation: int  # another one each time that an issuer is built
    route: IssuerRoute
    issuer: Issuer
    health: IssuerHealth
    verifier: Verifier  # the issuer's alone
    roles: AskedRoles | None
    refresh_issuer: RefreshIssuer
    web: WebClient | None  # None: nobody signs in there by the browser
    limiter: FairLimiter
    breaker: Breaker
    in_use: anyio.CancelScope  # cancelled when it is replaced

    def is_seen_to(self) -> bool:
        """Say whether it is known to answer, or trial calls are made that no login waits for."""
        return self.breaker.needs_trial or not self.health.trouble

    async def ahead(self) -> float | None:
        """Ask the issuer, and return the seconds its clock is ahead of ours; None: no answer."""
        with self.health.call(is_call=False):
            return await self.issuer.ahead()


class Issuers:
    """Owns the issuers at work. Those about which nothing changes are left alone."""

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        environ: Mapping[str, str],
        slow_after: Callable[[], float],
    ) -> None:
        self.metrics = metrics
        self.containment = Containment()
        self._clock = clock
        self._environ = environ
        self._slow_after = slow_after
        self._numbers = count(1)
        self._tasks: TaskGroup | None = None
        self.running: Mapping[str, RunningIssuer] = {}

    async def build(self, config: Config, *, at_start: bool = False) -> dict[str, RunningIssuer]:
        """Return an issuer for each table, by name; nothing is asked of them yet.

        Either `use` or `discard` what it returns.

        Args:
            config: What they are to be.
            at_start: An issuer or role source whose plugin cannot be started is unavailable until
                a reload starts it. While the daemon runs it is an error, and what runs goes on.

        Raises:
            ConfigError: A secret, a certificate or a plugin is not as it should be.
        """
        built: dict[str, RunningIssuer] = {}
        trusted = Trusted()
        async with AsyncExitStack() as stack:  # for an error, and for a stop meanwhile
            stack.push_async_callback(self.discard, built)
            for each in config.issuers:
                built[each.name] = await self._build(each, config, trusted, at_start=at_start)
            stack.pop_all()
        return built

    async def discard(self, built: Mapping[str, RunningIssuer]) -> None:
        """Close those of them that are not in use."""
        with anyio.CancelScope(shield=True):
            for name, each in built.items():
                if self.running.get(name) is not each:
                    await each.issuer.close()

    def use(self, running: Mapping[str, RunningIssuer]) -> None:
        """Go on with these. What is under way with others ends, and then they are closed."""
        before, self.running = self.running, running
        for name, each in before.items():
            if running.get(name) is not each:
                each.in_use.cancel()
        for name, each in running.items():
            older = before.get(name)
            if older is each:
                continue
            if older is not None and each.spec.has_keys_of(older.spec):
                each.issuer.take_keys_of(older.issuer)  # as they are by now
            self._tend(each)

    async def run(self) -> None:
        """Keep fresh what logins need, for ever."""
        async with anyio.create_task_group() as self._tasks:
            for each in self.running.values():
                self._tend(each)
            await anyio.sleep_forever()

    async def close(self) -> None:
        """Close all, once nothing runs any more."""
        running, self.running = self.running, {}
        await self.discard(running)

    def _tend(self, running: RunningIssuer) -> None:
        if self._tasks is None:
            return
        for source in () if running.issuer.roles is None else running.issuer.roles.asked:
            source.begin(self._tasks)
        self._tasks.start_soon(_tend, running, self._clock, self.containment)

    async def _build(
        self, each: IssuerConfig, config: Config, trusted: Trusted, *, at_start: bool
    ) -> RunningIssuer:
        client_secret = self._secret(each, "client_secret_file")
        refresh_secret = self._secret(each, "refresh_client_secret_file")
        web_secret = self._web_secret(each)
        spec = IssuerSpec(
            config=each,
            role_sources=tuple(
                source
                for source in config.role_sources
                if not source.issuers or each.name in source.issuers
            ),
            groups_cache=config.login.cache_asked if each.groups == "graph" else 0.0,
            leeway=config.login.leeway,
            refresh=RefreshLimits(
                timeout=config.refresh.timeout, concurrency=config.refresh.concurrency
            ),
            secrets=digest_of(client_secret, refresh_secret, web_secret),
            authorities=await authorities_of(each.ca_file, f"issuer[{each.name}].ca_file"),
        )
        before = self.running.get(each.name)
        is_same = before is not None and before.spec == spec
        if before is not None and is_same and before.issuer.is_whole:
            return before
        if before is None:
            note = self.metrics.calls_of(each.name)
            health = IssuerHealth(self._clock, name=each.name, note_call=note)
        else:
            health = before.health.successor()
        tls = await trusted.by(spec.authorities, each.ca_file, f"issuer[{each.name}].ca_file")
        secrets = ClientSecrets(client=client_secret, refresh=refresh_secret, web=web_secret)
        # What was missing before keeps no other change from being applied.
        lenient = at_start or is_same
        issuer = await self._issuer(spec, secrets, health, tls, lenient=lenient)
        return self._assembled(spec, issuer, health)

    async def _issuer(
        self,
        spec: IssuerSpec,
        secrets: ClientSecrets,
        health: IssuerHealth,
        tls: ssl.SSLContext,
        *,
        lenient: bool,
    ) -> Issuer:
        plugged = await plugged_in(
            spec.config,
            spec.role_sources,
            groups=self._groups(spec, secrets.client, tls),
            leeway=spec.leeway,
            clock=self._clock,
            containment=self.containment,
            lenient=lenient,
        )
        try:
            return build_issuer(
                spec.config,
                leeway=spec.leeway,
                refresh=spec.refresh,
                secrets=secrets,
                clock=self._clock,
                tls=tls,
                plugged=plugged,
                note=health.heard,
            )
        except ConfigError:
            await plugged.stop()
            raise

    def _groups(
        self, spec: IssuerSpec, client_secret: Secret | None, tls: ssl.SSLContext
    ) -> AskedSource | None:
        """Return what is asked for the groups that a token leaves out; None: nobody is."""
        if spec.config.groups != "graph":
            return None
        return build_graph(
            spec.config,
            client_secret=client_secret,
            cache=spec.groups_cache,
            clock=self._clock,
            tls=tls,
            containment=self.containment,
        )

    def _assembled(self, spec: IssuerSpec, issuer: Issuer, health: IssuerHealth) -> RunningIssuer:
        generation, table = next(self._numbers), spec.config
        route = IssuerRoute(
            name=table.name,
            stated=frozenset({table.issuer, *table.also_issued_as}),
            users=table.users,
        )
        verifier = InstrumentedVerifier(issuer.verifier, health, is_heard_here=issuer.is_plugins)
        roles = None if issuer.roles is None else AskedRoles(issuer.roles, self._clock)
        return RunningIssuer(
            spec=spec,
            generation=generation,
            route=route,
            issuer=issuer,
            health=health,
            verifier=verifier,
            roles=roles,
            refresh_issuer=RefreshIssuer(
                iss=table.issuer,
                sources=_sources(issuer, health),
                verifier=verifier if roles is None else RolesVerifier(verifier, roles),
                admits=route.admits,
                generation=generation,
                limiter=anyio.CapacityLimiter(spec.refresh.concurrency),
                unproved=FairLimiter(spec.refresh.concurrency),
            ),
            web=None if issuer.web is None else InstrumentedWebClient(issuer.web, health),
            limiter=FairLimiter(table.concurrency),
            breaker=Breaker(self._clock, slow_after=self._slow_after, doubts=True),
            in_use=anyio.CancelScope(),
        )

    def _secret(self, issuer: IssuerConfig, key: str) -> Secret | None:
        """Read one of an issuer's secrets; its credential is called ISSUER.KEY without `_file`."""
        return credentials.secret(
            getattr(issuer, key),
            key=f"issuer[{issuer.name}].{key}",
            credential=f"{issuer.name}.{key.removesuffix('_file')}",
            environ=self._environ,
        )

    def _web_secret(self, issuer: IssuerConfig) -> Secret | None:
        return credentials.secret(
            "" if issuer.web is None else issuer.web.client_secret_file,
            key=f"issuer[{issuer.name}].web.client_secret_file",
            credential=f"{issuer.name}.web_client_secret",
            environ=self._environ,
        )


def _sources(issuer: Issuer, health: IssuerHealth) -> dict[str, TokenSource]:
    """Return what refreshes the tokens of each of our clients; one may stand for both."""
    sources: dict[str, TokenSource] = {}
    if issuer.web is not None:
        web = InstrumentedTokenSource(issuer.web.tokens, health, client="web")
        sources[issuer.web.client_id] = web
    sources[issuer.client_id] = InstrumentedTokenSource(issuer.tokens, health)
    return sources


async def _tend(running: RunningIssuer, clock: Clock, containment: Containment) -> None:
    """Run an issuer until it is replaced, and close it once the calls under way are over."""
    name = running.route.name
    with running.in_use:
        work = partial(running.issuer.run, clock, running.verifier.probe, running.is_seen_to)
        await containment.keep_up(work, task="issuer", whose=name, clock=clock)
    try:
        await running.health.over()
    finally:
        with anyio.CancelScope(shield=True), containment.around("issuer", name):
            await running.issuer.close()
