"""What the configuration comes to: for each part the values that it uses, and no more."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from sessiond.config import (
    Config,
    IssuerConfig,
    SourceConfig,
    StoresConfig,
    TicketsConfig,
    credentials,
)
from sessiond.config.claim_rules import claim_rules
from sessiond.config.programs import lets_programs_in
from sessiond.control.access import Access
from sessiond.control.view import IssuerView, ViewSettings
from sessiond.core.access import AccessRules, Ceiling, LocalGrant
from sessiond.core.claims import ClaimRules
from sessiond.core.decide import Rules
from sessiond.core.patterns import Patterns
from sessiond.core.rules import WebRules
from sessiond.core.secret import Secret
from sessiond.daemon.extras import check_extras
from sessiond.daemon.issuers import RunningIssuer
from sessiond.daemon.snapshot import Snapshot
from sessiond.daemon.sources import BuiltSource
from sessiond.extensions.subscribers import STOP_WITHIN, DeliveryRules, SubscriberSettings
from sessiond.gate import GateIssuer, GateSettings
from sessiond.kdb.listener import ListenSettings
from sessiond.kdb.process_access import NameRules
from sessiond.kdb.welcome import ConnectionSettings
from sessiond.refresher import RefreshSettings
from sessiond.sources.settings import RunningSource, SourceSettings
from sessiond.system.peer import AllowList
from sessiond.table import TableSettings
from sessiond.tickets.settings import TicketSettings, urn_of
from sessiond.tokenstores.settings import StoresSettings
from sessiond.web.base import Base
from sessiond.web.needs import WebSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What the file only names: users, groups and the proof key, as this machine has them."""

    allowed: AllowList
    subscribers: AllowList | None  # None: whoever may connect
    access: Access
    peers: tuple[AllowList | None, ...]  # of each [[access.process]]; None: anybody
    proof_key: Secret | None
    host: str  # what the machine is called
    exchangers: AllowList | None = None  # None: tickets are off
    stores: StoresSettings
    readers: Mapping[str, AllowList | None] = field(default_factory=dict)  # by source


def look_up(config: Config, environ: Mapping[str, str]) -> LookedUp:
    """Ask the machine; that may take as long as its directory of users does.

    Raises:
        NotNowError: A user or group is not found, at least not now.
        ConfigError: The proof key cannot be used, or a package is missing.
    """
    check_extras(config)
    listen = config.listen
    return LookedUp(
        allowed=AllowList.of(listen.allow_users, listen.allow_groups),
        subscribers=_may_subscribe(listen.subscribers),
        access=Access.of(
            readers=listen.control_readers,
            admins=listen.control_admins,
            must_name_readers=lets_programs_in(config),
        ),
        peers=tuple(
            _exactly(f"access.process[{number}].peers", each.peers)
            for number, each in enumerate(config.access.process, start=1)
        ),
        proof_key=credentials.proof_key(listen.proof_key_file, environ=environ),
        host=socket.gethostname(),
        exchangers=None if config.tickets is None else _exchangers(config.tickets),
        stores=_stores(config.stores),
        readers={each.name: _readers(each) for each in config.sources},
    )


def _readers(source: SourceConfig) -> AllowList | None:
    """Return who may have its token over the control socket; None: nobody, not even root."""
    if not source.readers:
        return None
    return AllowList.listed(f"source[{source.name}].readers", source.readers)


def _exchangers(tickets: TicketsConfig) -> AllowList:
    return AllowList.listed("tickets.exchangers", tickets.exchangers)


def _stores(stores: StoresConfig | None) -> StoresSettings:
    if stores is None:
        return StoresSettings()
    return StoresSettings(
        allowed=AllowList.listed("stores.users", stores.users),
        is_shared=stores.shared,
        max_contexts=stores.max_contexts,
    )


def _may_subscribe(names: Sequence[str | int]) -> AllowList | None:
    return AllowList.listed("listen.subscribers", names) if names else None


def _exactly(key: str, names: Sequence[str | int]) -> AllowList | None:
    return AllowList.exactly(key, names) if names else None


def database_of(config: Config) -> Path:
    """Return the database's one true path: its lock and key are beside it, whatever links there."""
    return Path(config.store.path).resolve()


def snapshot_of(
    config: Config,
    looked_up: LookedUp,
    running: Mapping[str, RunningIssuer],
    sources: Mapping[str, BuiltSource] | None = None,
) -> Snapshot:
    """Return what each part goes by. A key that is not used here builds what runs.

    Args:
        config: The file.
        looked_up: What it only names.
        running: The issuers that are built of it,
        sources: and the sources. None: not yet.
    """
    listen, login = config.listen, config.login
    rules = _rules(config, running)
    return Snapshot(
        log_format=config.log.format,
        log_level=config.log.level,
        listen=ListenSettings(allowed=looked_up.allowed, max_connections=listen.max_connections),
        connection=ConnectionSettings(
            deadline=login.deadline,
            max_message=listen.max_message,
            proof_key=looked_up.proof_key,
        ),
        subscriber_access=looked_up.subscribers,
        names=NameRules(access=rules.access, peers=looked_up.peers),
        gate=GateSettings(
            issuers=tuple(_gate_issuer(config, each) for each in running.values()),
            waiting=login.waiting,
        ),
        slow_after=login.deadline / 2,
        table=TableSettings(rules=rules, keep_events=_keep_events(config)),
        refresh=RefreshSettings(
            issuers={name: each.refresh_issuer for name, each in running.items()},
            recheck=config.refresh.recheck,
            keeps_access=any(each.grant == "on_behalf_of" for each in config.sources),
        ),
        web=_web(config, running, rules),
        sources=_sources(config, looked_up, sources or {}),
        tickets=None
        if config.tickets is None
        else _tickets(config, config.tickets, looked_up, rules),
        witnesses={name: each.ahead for name, each in running.items()},
        subscribers=_subscribers(config),
        access=looked_up.access,
        view=_view(config, looked_up, running, rules),
        stop_within=_stop_within(config),
    )


def _rules(config: Config, running: Mapping[str, RunningIssuer]) -> Rules:
    return Rules(
        unbound=timedelta(seconds=config.login.unbound),
        grace=timedelta(seconds=config.login.grace),
        share=config.refresh.share,
        jitter=config.refresh.jitter,
        proved=frozenset(each.name for each in config.issuers if each.prove_by_refresh),
        generations={name: each.generation for name, each in running.items()},
        iss={each.name: each.issuer for each in config.issuers},
        max_sessions=config.login.max_sessions,
        access=_access(config),
        web=WebRules(
            idle=timedelta(seconds=min(config.web.idle, config.web.session)),
            session=timedelta(seconds=config.web.session),
        ),
    )


def _view(
    config: Config, looked_up: LookedUp, running: Mapping[str, RunningIssuer], rules: Rules
) -> ViewSettings:
    return ViewSettings(
        issuers=_views(running),
        proved=rules.proved,
        deadline=config.login.deadline,
        access=rules.access,
        exchangers=looked_up.exchangers,
        stores=looked_up.stores,
    )


def _web(config: Config, running: Mapping[str, RunningIssuer], rules: Rules) -> WebSettings:
    clients = {name: each.web for name, each in running.items()}
    return WebSettings(
        bases=tuple(map(Base, config.web.bases)),
        clients={name: client for name, client in clients.items() if client is not None},
        idle=rules.web.idle,
        access=rules.access,
    )


def _sources(
    config: Config, looked_up: LookedUp, built: Mapping[str, BuiltSource]
) -> SourceSettings:
    return SourceSettings(
        sources={
            each.name: RunningSource(
                config=each,
                source=built[each.name].source,
                processes=Patterns(each.processes),
                readers=looked_up.readers[each.name],
                authorizer=built[each.name].parts.sign_in,
            )
            for each in config.sources
            if each.name in built
        },
        waiting=config.login.waiting,
    )


def _tickets(
    config: Config, tickets: TicketsConfig, looked_up: LookedUp, rules: Rules
) -> TicketSettings:
    return TicketSettings(
        issuer=tickets.issuer or urn_of(looked_up.host),
        host=looked_up.host,
        lifetime=timedelta(seconds=tickets.lifetime),
        depth=tickets.depth,
        audiences=tickets.audiences,
        leeway=timedelta(seconds=config.login.leeway),
        deadline=config.login.deadline,
        proved=rules.proved,
        generations=rules.generations,
        issuers={each.name: _digest(each) for each in config.issuers},
    )


def _digest(issuer: IssuerConfig) -> str:
    return sha256(msgspec.json.encode(issuer)).hexdigest()


def _access(config: Config) -> AccessRules:
    access = config.access
    return AccessRules(
        protected=access.protected_roles,
        grants=tuple(
            LocalGrant(users=each.users, issuers=each.issuers, roles=each.roles)
            for each in access.grant
        ),
        ceilings=tuple(
            Ceiling(
                name=each.name,
                type=each.type,
                users=each.users,
                issuers=each.issuers,
                roles=each.roles,
                max_age=timedelta(seconds=each.max_age),
                acr=each.acr,
                estate=each.estate,
            )
            for each in access.process
        ),
        required=frozenset(each.name for each in config.issuers if each.require_role),
        leeway=timedelta(seconds=config.login.leeway),
        configuration=config.digest,
    )


def _keep_events(config: Config) -> timedelta:
    return timedelta(seconds=config.events.keep)


def _gate_issuer(config: Config, running: RunningIssuer) -> GateIssuer:
    return GateIssuer(
        route=running.route,
        verifier=running.verifier,
        roles=running.roles,
        client=running.issuer.client_id,
        cache_for=config.login.cache_asked if running.verifier.is_online else config.login.cache,
        limiter=running.limiter,
        breaker=running.breaker,
        generation=running.generation,
    )


def _subscribers(config: Config) -> SubscriberSettings:
    rules = DeliveryRules(max_attempts=config.events.max_attempts, keep=_keep_events(config))
    return SubscriberSettings(wanted=config.subscribers, rules=rules)


def _views(running: Mapping[str, RunningIssuer]) -> dict[str, IssuerView]:
    return {
        name: IssuerView(
            route=each.route,
            breaker=each.breaker,
            health=each.health,
            keys_trouble=each.issuer.keys_trouble,
            roles=() if each.issuer.roles is None else each.issuer.roles.asked,
            waiting=each.limiter.waiting,
            claims=_claims(each.spec.config),
            introspects_as=_introspects_as(each.spec.config),
        )
        for name, each in running.items()
    }


def _claims(issuer: IssuerConfig) -> ClaimRules | None:
    return None if issuer.verify == "plugin" else claim_rules(issuer)


def _introspects_as(issuer: IssuerConfig) -> str:
    return issuer.client_id if issuer.verify == "introspection" else ""


def _stop_within(config: Config) -> float:
    """Return the seconds that stopping may take.

    A refresh under way is worth waiting for, and subscribers hear the last events.
    """
    return config.refresh.timeout + 5.0 + STOP_WITHIN * bool(config.subscribers)
