"""The daemon as it stands, for operators."""

import anyio

from sessiond import __version__
from sessiond.control import bodies, subscribing
from sessiond.control.ticket_status import tickets_status
from sessiond.control.view import IssuerView, View
from sessiond.core import listing
from sessiond.extensions.roles import SourceState
from sessiond.log.redaction import harmless


async def status(view: View) -> bodies.Status:
    """Return the daemon as it stands."""
    counts = listing.count(await view.table.rows(), view.clock.now())
    return bodies.Status(
        version=__version__,
        instance=view.instance,
        ready_at=view.ready_at,
        uptime=view.uptime,
        configuration=_configuration(view),
        issuers=[_issuer(name, issuer) for name, issuer in view.issuers.items()],
        role_sources=[
            _role_source(name, source.state)
            for name, issuer in view.issuers.items()
            for source in issuer.roles
        ],
        queues=bodies.Queues(
            table=view.table.waiting,
            logins=sum(each.waiting() for each in view.issuers.values()),
        ),
        connections=len(view.connected),
        refused_connections=view.refused(),
        hooks=view.connected.hooks,
        sessions=dict(counts.sessions),
        grants=counts.grants,
        revocations=counts.revocations,
        subscribers=subscribing.statuses(view),
        sources=_sources(view),
        tickets=tickets_status(view.tickets),
        stores=await _stores(view),
        store=bodies.StoreStatus(path=str(view.database), bytes=await _store_size(view)),
        last_sequence=view.events.sequence,
        next_refresh_at=counts.next_refresh_at,
    )


def _issuer(name: str, issuer: IssuerView) -> bodies.IssuerStatus:
    return bodies.IssuerStatus(
        name=name,
        healthy=not issuer.trouble,
        trouble=issuer.trouble,
        last_success_at=issuer.health.last_success_at,
        last_error=issuer.health.last_error,
        last_error_at=issuer.health.last_error_at,
    )


def _role_source(issuer: str, state: SourceState) -> bodies.RoleSourceStatus:
    return bodies.RoleSourceStatus(
        name=state.name,
        plugin=state.plugin,
        issuer=issuer,
        healthy=not state.is_open,
        last_success_at=state.last_success_at,
        last_error=harmless(state.last_error),
        last_error_at=state.last_error_at,
        stood_in=state.stood_in,
        last_stood_in_at=state.last_stood_in_at,
    )


def _configuration(view: View) -> bodies.ConfigurationStatus:
    current = view.configuration
    return bodies.ConfigurationStatus(
        loaded_at=current.loaded_at,
        generation=current.generation,
        last_error=current.last_error,
        last_error_at=current.last_error_at,
        needs_restart=tuple(current.needs_restart),
    )


def _sources(view: View) -> list[bodies.SourceSummary]:
    healths = {name: each.source.health for name, each in view.sources_now.items()}
    return [
        bodies.SourceSummary(name=name, healthy=health.reason is None, last_error=health.last_error)
        for name, health in healths.items()
    ]


async def _stores(view: View) -> bodies.StoresStatus | None:
    if view.settings().stores.allowed is None:
        return None
    return bodies.StoresStatus(
        contexts=len((await view.table.rows()).contexts),
        locks=view.stores.locks.held,
        waiting=view.stores.locks.waiting,
    )


async def _store_size(view: View) -> int:
    size = 0
    for suffix in ("", "-wal"):
        file = anyio.Path(f"{view.database}{suffix}")
        if await file.exists():
            size += (await file.stat()).st_size
    return size
