"""What plugins bring to one issuer: its verifier, and the role sources that its users have."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from sessiond.clock import Clock
from sessiond.config import IssuerConfig, RoleSourceConfig
from sessiond.config.claim_rules import claim_rules
from sessiond.config.entra import group_roles
from sessiond.containment import Containment
from sessiond.core.errors import ConfigError
from sessiond.extensions.roles import AskedSource, RoleTerms, asked_source
from sessiond.extensions.verifiers import PluginVerifier, plugin_verifier
from sessiond.jwt.issuer import IssuerFacts
from sessiond.jwt.kind import KindRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugged:
    """The plugins of one issuer, made for it alone."""

    config: IssuerConfig  # what is left to its verifier: with role sources, no default roles
    verifier: PluginVerifier | None  # where `verify` is plugin
    roles: RoleTerms | None  # where a role source is asked, or Microsoft Graph

    @property
    def is_whole(self) -> bool:
        """Whether each of them could be started."""
        sources = () if self.roles is None else self.roles.sources
        has_verifier = self.verifier is None or not self.verifier.is_absent
        return has_verifier and not any(each.is_absent for each in sources)

    async def stop(self) -> None:
        """Have the plugins let go of what they hold."""
        if self.verifier is not None:
            await self.verifier.stop()
        if self.roles is not None:
            await self.roles.stop()


async def plugged_in(
    config: IssuerConfig,
    sources: Iterable[RoleSourceConfig],
    *,
    leeway: float,
    clock: Clock,
    containment: Containment,
    groups: AskedSource | None = None,
    lenient: bool = False,
) -> Plugged:
    """Make the plugins that an issuer's table and the role sources for its users name.

    One that cannot be started, `lenient` or not, lets nobody in: with `lenient` its issuer is
    unavailable, and all else goes on. A daemon that did not run would end nobody's session either.
    What is asked for the `groups` that tokens leave out is one of them from here on.

    Raises:
        ConfigError: One is not installed, or refuses its settings; not where `lenient`.
    """
    asked: list[AskedSource] = []
    beside = () if groups is None else (groups,)
    try:
        for source in sources:
            made = await asked_source(source, clock, containment, lenient=lenient)
            asked.append(made)
        left, terms = _split(config, tuple(asked), groups)
        verifier = None
        if config.verify == "plugin":
            about = _facts(left, timedelta(seconds=leeway))
            verifier = await plugin_verifier(config, about, lenient=lenient)
    except ConfigError:
        for each in (*asked, *beside):
            await each.stop()
        raise
    return Plugged(config=left, verifier=verifier, roles=terms)


def _split(
    config: IssuerConfig, sources: tuple[AskedSource, ...], groups: AskedSource | None
) -> tuple[IssuerConfig, RoleTerms | None]:
    """Leave to the verifier what the sources have no part in: default roles come after theirs."""
    if not sources and groups is None:
        return config, None
    terms = RoleTerms(
        sources=sources,
        default_roles=config.default_roles,
        groups=groups,
        group_roles=group_roles(config),
    )
    if not sources:  # most verdicts are whole without being completed
        return config, terms
    return msgspec.structs.replace(config, default_roles=()), terms


def _facts(config: IssuerConfig, leeway: timedelta) -> IssuerFacts:
    return IssuerFacts(
        name=config.name,
        issuers=frozenset({config.issuer, *config.also_issued_as}),
        audience=frozenset(config.audience),
        audience_claim=config.audience_claim,
        required_scope=config.required_scope,
        kind=KindRules(allow_clients=frozenset(config.allow_clients)),
        timeout=config.timeout,
        leeway=leeway,
        rules=claim_rules(config),
    )
