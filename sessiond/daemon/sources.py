"""The sources at work: built from the configuration, and replaced where it changes."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog

from sessiond.clock import Clock
from sessiond.config import Config, IssuerConfig, SourceConfig, credentials
from sessiond.containment import Containment
from sessiond.core.errors import ConfigError
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.daemon.authorities import Trusted, authorities_of
from sessiond.daemon.secrets_digest import digest_of
from sessiond.issuers.source_build import SourceParts, SourceSecrets, build_source
from sessiond.refresher import Refresher
from sessiond.sources.fetching import Fetching, OwnStanding
from sessiond.sources.holding import Patience
from sessiond.sources.on_behalf import OnBehalf
from sessiond.sources.seeded import Seeded
from sessiond.sources.source import Source
from sessiond.table import Table

WITH_A_PASSWORD = Patience(first=60.0, longest=3600.0)  # seconds; else it locks the user out
_OF_THE_ISSUER = (  # keys of an issuer's table that its sources go by
    *("issuer", "kind", "also_issued_as", "discovery", "token_endpoint", "subject_claim"),
    *("ca_file", "insecure_http"),
)

# Whoever stops the daemon does not wait for a file that hangs.
_away = partial(anyio.to_thread.run_sync, abandon_on_cancel=True)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """All that a source is built from: equal recipes make equal sources, whoever may ask."""

    config: SourceConfig
    issuer: tuple[Any, ...]
    timeout: float
    leeway: float
    secrets: bytes = field(repr=False)  # SHA-256 of them
    authorities: bytes = field(repr=False)  # SHA-256 of ca_file; empty: the machine's


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltSource:
    """One source, with all that stays as it is for as long as its spec does."""

    spec: SourceSpec
    parts: SourceParts
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceServices:
    """What sources work with."""

    table: Table
    refresher: Refresher
    clock: Clock
    containment: Containment
    hashed: Callable[[Secret], TokenHash]
    slow_after: Callable[[], float]
    note: Callable[[str, str], object]  # told of each fetch: the source, and what came of it


class SourceBuilder:
    """Owns the sources at work. Those about which nothing changes are left alone."""

    def __init__(self, services: SourceServices, environ: Mapping[str, str]) -> None:
        self._services = services
        self._environ = environ
        self._alone: dict[str, anyio.Lock] = {}  # by name: one refresh token is spent at a time
        self.running: Mapping[str, BuiltSource] = {}

    async def begin(self, config: Config) -> Mapping[str, BuiltSource]:
        """Return the sources of a start, which are in use by then. Raises as `build`."""
        self.use(await self.build(config))
        return self.running

    async def build(self, config: Config) -> dict[str, BuiltSource]:
        """Return a source for each table, by name; nothing is asked of anybody yet.

        Either `use` or `discard` what it returns.

        Raises:
            ConfigError: A secret or a certificate is not as it should be.
        """
        issuers = {each.name: each for each in config.issuers}
        built: dict[str, BuiltSource] = {}
        trusted = Trusted()
        try:
            for each in config.sources:
                issuer = issuers.get(each.issuer)
                built[each.name] = await self._build(each, issuer, config, trusted)
        except BaseException:
            self.discard(built)
            raise
        return built

    def discard(self, built: Mapping[str, BuiltSource]) -> None:
        """Close those of them that are not in use."""
        for name, each in built.items():
            if self.running.get(name) is not each:
                each.parts.http.close()

    def use(self, running: Mapping[str, BuiltSource]) -> None:
        """Go on with these. Calls that are under way with others are finished, and kept."""
        before, self.running = self.running, running
        for name, each in running.items():
            if before.get(name) is not each and each.spec.config.grant == "password":
                log.warning("source uses a password", source=name)
        for name, each in before.items():
            if running.get(name) is not each:
                each.source.retire()
        self.discard(before)

    def close(self) -> None:
        """Close all, once nothing runs any more."""
        running, self.running = self.running, {}
        self.discard(running)

    async def _build(
        self,
        each: SourceConfig,
        issuer: IssuerConfig | None,
        config: Config,
        trusted: Trusted,
    ) -> BuiltSource:
        recipe = await _recipe(each, issuer, config, self._environ)
        spec, before = recipe.spec, self.running.get(each.name)
        if before is not None and before.spec == spec:
            return before
        tls = await trusted.by(spec.authorities, recipe.ca_file, recipe.ca_key)
        parts = recipe.parts(self._services.clock, tls)
        source = self._source(each, parts, recipe.secrets)
        return BuiltSource(spec=spec, parts=parts, source=source)

    def _source(self, each: SourceConfig, parts: SourceParts, secrets: SourceSecrets) -> Source:
        services = self._services
        return Source(
            each.name,
            fetching=self._fetching(each, parts, secrets),
            min_validity=each.min_validity,
            clock=services.clock,
            containment=services.containment,
            slow_after=services.slow_after,
            patience=WITH_A_PASSWORD if each.grant == "password" else None,
            note=partial(services.note, each.name),
        )

    def _fetching(self, each: SourceConfig, parts: SourceParts, secrets: SourceSecrets) -> Fetching:
        services = self._services
        match each.grant:
            case "client_credentials" | "password":
                return OwnStanding(parts.tokens)
            case "on_behalf_of":
                return OnBehalf(parts.tokens, services.refresher)
            case "refresh_token":
                return Seeded(
                    each.name,
                    client=parts.tokens,
                    table=services.table,
                    seed=secrets.refresh_token,
                    hashed=services.hashed,
                    clock=services.clock,
                    alone=self._alone.setdefault(each.name, anyio.Lock()),
                )


async def problems_of_sources(
    config: Config, environ: Mapping[str, str], clock: Clock
) -> AsyncIterator[ConfigError]:
    """Yield what a start would refuse of each source: its secrets and authorities."""
    issuers, trusted = {each.name: each for each in config.issuers}, Trusted()
    for each in config.sources:
        try:
            recipe = await _recipe(each, issuers.get(each.issuer), config, environ)
            tls = await trusted.by(recipe.spec.authorities, recipe.ca_file, recipe.ca_key)
            recipe.parts(clock, tls).http.close()
        except ConfigError as error:
            yield error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """A source's spec, with what must not be compared or shown."""

    spec: SourceSpec
    config: SourceConfig
    issuer: IssuerConfig | None
    secrets: SourceSecrets = field(repr=False)
    ca_file: str
    ca_key: str  # whose it is, for errors

    def parts(self, clock: Clock, tls: ssl.SSLContext) -> SourceParts:
        """Return what asks for its tokens; nothing is asked yet."""
        return build_source(
            self.config,
            self.issuer,
            secrets=self.secrets,
            timeout=self.spec.timeout,
            leeway=self.spec.leeway,
            clock=clock,
            tls=tls,
        )


async def _recipe(
    each: SourceConfig, issuer: IssuerConfig | None, config: Config, environ: Mapping[str, str]
) -> _Recipe:
    """Read all that a source is built from, away from the loop.

    Raises:
        ConfigError: A file is not as it should be.
    """
    secrets = await _away(_secrets, each, environ)
    ca_file = each.ca_file if issuer is None else issuer.ca_file
    whose = f"source[{each.name}]" if issuer is None else f"issuer[{issuer.name}]"
    spec = SourceSpec(
        config=msgspec.structs.replace(each, processes=(), readers=()),
        issuer=() if issuer is None else tuple(getattr(issuer, k) for k in _OF_THE_ISSUER),
        timeout=config.refresh.timeout,
        leeway=config.login.leeway,
        secrets=digest_of(secrets.client, secrets.refresh_token, secrets.password),
        authorities=await authorities_of(ca_file, f"{whose}.ca_file"),
    )
    return _Recipe(
        spec=spec,
        config=each,
        issuer=issuer,
        secrets=secrets,
        ca_file=ca_file,
        ca_key=f"{whose}.ca_file",
    )


def _secrets(each: SourceConfig, environ: Mapping[str, str]) -> SourceSecrets:
    """Read a source's secrets; their credentials are called source.NAME.KEY."""

    def read(key: str, *, is_wanted: bool) -> Secret | None:
        if not is_wanted:
            return None
        return credentials.secret(
            getattr(each, f"{key}_file"),
            key=f"source[{each.name}].{key}_file",
            credential=f"source.{each.name}.{key}",
            environ=environ,
        )

    return SourceSecrets(
        client=read("client_secret", is_wanted=each.client_auth != "none"),
        refresh_token=read("refresh_token", is_wanted=each.grant == "refresh_token"),
        password=read("password", is_wanted=each.grant == "password"),
    )
