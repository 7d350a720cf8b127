"""What Prometheus reads: docs/signals.md says what each means. No label ever names a user."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import anyio.to_thread
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sessiond import __version__, log
from sessiond.control.ticket_metrics import of_tickets
from sessiond.control.view import View
from sessiond.core.errors import StoreError
from sessiond.core.listing import Counts
from sessiond.extensions.subscribers.state import SubscriberState
from sessiond.tokenstores.stores import TokenStores

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ALERTED = (("opened", ""), ("refused", "deadline"), ("refused", "unavailable"))
SOON = (60.0, 300.0)  # seconds until a lease ends: a refresh should have come long before


async def exposition(view: View, counts: Counts) -> bytes:
    """Return the metrics in Prometheus' text format.

    Args:
        view: The daemon.
        counts: Of the table's rows.
    """
    disk = await anyio.to_thread.run_sync(_disk, view.database)
    registry = CollectorRegistry(auto_describe=False)
    found = [*_of_daemon(view), *_of_store(view, disk), *_of_table(counts)]
    found += [*_of_issuers(view), *_of_sources(view), *_of_role_sources(view), *_of_tasks(view)]
    found += of_tickets(view.tickets, now=view.clock.now())
    found += _of_stores(view.stores, contexts=len((await view.table.rows()).contexts))
    found += [*_of_subscribers(view.subscribers.states(), await _ages(view))]
    registry.register(_Collected(found))
    return generate_latest(registry) + generate_latest(view.metrics.registry)


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


@dataclass(frozen=True, slots=True)
class _Disk:
    """Bytes."""

    database: int
    wal: int
    free: int  # to an ordinary user
    size: int


def _disk(database: Path) -> _Disk | None:
    """Return what the database takes, and what room it has; None: it cannot be seen."""
    wal = database.with_name(database.name + "-wal")
    try:
        room = os.statvfs(database.parent)
        return _Disk(
            database=database.stat().st_size,
            wal=wal.stat().st_size if wal.exists() else 0,
            free=room.f_bavail * room.f_frsize,
            size=room.f_blocks * room.f_frsize,
        )
    except OSError:
        return None


async def _ages(view: View) -> dict[str, float]:
    """Return the age in seconds of each subscriber's oldest event that it is not done with."""
    ages: dict[str, float] = {}
    for state in view.subscribers.states():
        with suppress(StoreError):  # the lag in events is known all the same
            oldest = await view.events.after(state.place, limit=1) if state.lag else []
            age = view.clock.now() - oldest[0].at if oldest else timedelta()
            ages[state.name] = max(0.0, age.total_seconds())
    return ages


def _of_daemon(view: View) -> Iterable[Metric]:
    yield InfoMetricFamily("sessiond", "The running version", {"version": __version__})
    yield _gauge("uptime_seconds", "Since the daemon was ready", view.uptime)
    yield _gauge("connections", "Connected q processes", len(view.connected))
    yield _counter("connections_refused", "Peers that were not let in", view.refused())
    yield _gauge("table_inbox", "Changes that wait for the table", view.table.waiting)
    yield _by_label("log_lines_dropped", "Log lines that nobody took", "output", log.lost)
    yield _counter(
        "log_lines_held_back", "Repeated log lines that were summed", log.repeats.held_back
    )


def _of_store(view: View, disk: _Disk | None) -> Iterable[Metric]:
    store = view.store
    outcomes = {outcome: store.commits[outcome] for outcome in ("ok", "failed")}
    yield _by_label("commits", "Transactions by outcome", "outcome", outcomes)
    yield _gauge("last_sequence", "The last event's number", view.events.sequence)
    yield _by_label("events", "Events by kind", "kind", store.events)
    logins = CounterMetricFamily(
        "sessiond_logins",
        "Logins: opened, or refused for a reason; refused ones within a second",
        labels=["issuer", "outcome", "reason"],
    )
    expected = {
        (issuer, *outcome): 0 for issuer in view.issuers for outcome in ALERTED
    }  # a counter that begins with its first failure hides it from increase()
    for labels, count in sorted({**expected, **store.logins}.items()):
        logins.add_metric(labels, count)
    yield logins
    if disk is not None:
        yield _gauge("store_database_bytes", "Size of the database", disk.database)
        yield _gauge("store_wal_bytes", "Size of its write-ahead log", disk.wal)
        yield _gauge("store_free_bytes", "Free on the database's disk", disk.free)
        yield _gauge("store_disk_bytes", "Size of the database's disk", disk.size)


def _of_table(counts: Counts) -> Iterable[Metric]:
    sessions = GaugeMetricFamily("sessiond_sessions", "Live sessions by state", labels=["state"])
    for state, count in counts.sessions.items():
        sessions.add_metric([state.value], count)
    yield sessions
    yield _gauge("grants", "Grants that sessions hang on", counts.grants)
    yield _gauge("revocations", "Lasting revocations in force", counts.revocations)
    expiring = GaugeMetricFamily(
        "sessiond_leases_expiring",
        "Sessions whose lease ends within so many seconds",
        labels=["within"],
    )
    for seconds, count in counts.expiring.items():
        expiring.add_metric([f"{seconds:g}"], count)
    yield expiring


def _of_issuers(view: View) -> Iterable[Metric]:
    healthy = GaugeMetricFamily(
        "sessiond_issuer_healthy",
        "0 while it does not answer, has not been reached yet, or refuses our client",
        labels=["issuer"],
    )
    success = GaugeMetricFamily(
        "sessiond_issuer_last_success_timestamp_seconds",
        "When it last answered anything: a login, a refresh, a trial call, a fetch of its keys",
        labels=["issuer"],
    )
    refreshes = CounterMetricFamily(
        "sessiond_refreshes", "Refreshes by outcome", labels=["issuer", "outcome"]
    )
    for name, issuer in view.issuers.items():
        healthy.add_metric([name], float(not issuer.trouble))
        if issuer.health.last_success_at is not None:
            success.add_metric([name], issuer.health.last_success_at.timestamp())
        for outcome in ("ok", "refused", "throttled", "unavailable"):
            refreshes.add_metric([name, outcome], issuer.health.refreshes[outcome])
    return healthy, success, refreshes


def _of_sources(view: View) -> Iterable[Metric]:
    healthy = GaugeMetricFamily(
        "sessiond_source_healthy",
        "0 while the last call for its token brought none",
        labels=["source"],
    )
    for name, running in view.sources_now.items():
        healthy.add_metric([name], float(running.source.health.reason is None))
    yield healthy


def _of_role_sources(view: View) -> Iterable[Metric]:
    labels = ["issuer", "role_source"]
    healthy = GaugeMetricFamily(
        "sessiond_role_source_healthy", "0 while logins do not wait for it", labels=labels
    )
    success = GaugeMetricFamily(
        "sessiond_role_source_last_success_timestamp_seconds",
        "When it last answered",
        labels=labels,
    )
    stood_in = CounterMetricFamily(
        "sessiond_role_source_stood_in",
        "Known answers that stood in while it was away",
        labels=labels,
    )
    for name, issuer in view.issuers.items():
        for state in (source.state for source in issuer.roles):
            healthy.add_metric([name, state.name], float(not state.is_open))
            stood_in.add_metric([name, state.name], state.stood_in)
            if state.last_success_at is not None:
                success.add_metric([name, state.name], state.last_success_at.timestamp())
    return healthy, success, stood_in


def _of_tasks(view: View) -> Iterable[Metric]:
    failures = CounterMetricFamily(
        "sessiond_unexpected_failures",
        "Exceptions that nobody expected, by what was being done and for whom",
        labels=["task", "name"],
    )
    expected = {("login", name): 0 for name in view.issuers}
    for labels, count in sorted({**expected, **view.failures}.items()):
        failures.add_metric(labels, count)
    yield failures


def _of_stores(stores: TokenStores, *, contexts: int) -> Iterable[Metric]:
    locks = stores.locks
    taken = {
        "free": locks.counts.taken - locks.counts.taken_over,
        "stale": locks.counts.taken_over,
    }
    yield _gauge("stores_contexts", "Contexts of the token stores", contexts)
    yield _counter("stores_reads", "Values asked for", stores.counts.reads)
    yield _counter("stores_writes", "Writes under a lock", stores.counts.writes)
    yield _by_label("stores_locks_taken", "Locks taken, free or stale", "was", taken)
    yield _gauge("stores_locks_held", "Locks that somebody holds", locks.held)
    yield _gauge("stores_locks_waiting", "Requests that wait for a lock", locks.waiting)


def _of_subscribers(
    states: Iterable[SubscriberState], ages: Mapping[str, float]
) -> Iterable[Metric]:
    up = _labelled("subscriber_up", "1 while its process is there and takes events")
    lag = _labelled("subscriber_lag_events", "Events after its place")
    age = _labelled("subscriber_lag_seconds", "Age of the oldest event it is not done with")
    aside = _labelled("subscriber_set_aside", "Events that it refused too often")
    restarts = CounterMetricFamily(
        "sessiond_subscriber_restarts", "Restarts of its process", labels=["subscriber"]
    )
    for each in states:
        up.add_metric([each.name], float(each.state == "running"))
        lag.add_metric([each.name], each.lag)
        if each.name in ages:
            age.add_metric([each.name], ages[each.name])
        aside.add_metric([each.name], each.set_aside)
        restarts.add_metric([each.name], each.restarts)
    return up, lag, age, aside, restarts


def _labelled(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sessiond_{name}", text, labels=["subscriber"])


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sessiond_{name}", text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"sessiond_{name}", text, value)


def _by_label(name: str, text: str, label: str, counts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"sessiond_{name}", text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
