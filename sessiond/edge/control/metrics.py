"""Counters and gauges as Prometheus reads them. No label ever names a user."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from sessiond import __version__
from sessiond.core.changes import Counts
from sessiond.edge.control.view import View

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(view: View, counts: Counts | None) -> bytes:
    """Return the metrics in Prometheus' text format.

    Args:
        view: The daemon.
        counts: What the table has counted; None, while it cannot be asked, leaves them out.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_of_daemon(view), *_of_table(counts), *_of_issuers(view)]))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _of_daemon(view: View) -> Iterable[Metric]:
    store = view.store
    yield InfoMetricFamily("sessiond", "The running version", {"version": __version__})
    yield _gauge("uptime_seconds", "Since the daemon was ready", view.uptime)
    yield _gauge("connections", "Connected q processes", view.connections())
    yield _counter("connections_refused", "Peers that were not let in", view.refused())
    yield _gauge("table_inbox", "Changes that wait for the table", view.table.waiting)
    commits = CounterMetricFamily("sessiond_commits", "Transactions by outcome", labels=["outcome"])
    for outcome in ("ok", "failed"):
        commits.add_metric([outcome], store.commits[outcome])
    yield commits
    yield SummaryMetricFamily(
        "sessiond_commit_seconds",
        "What transactions took",
        count_value=store.commits["ok"],
        sum_value=store.commit_seconds,
    )
    yield _gauge("last_sequence", "The last event's number", store.sequence)
    events = CounterMetricFamily("sessiond_events", "Events by kind", labels=["kind"])
    for kind, count in sorted(store.events.items()):
        events.add_metric([kind], count)
    yield events
    logins = CounterMetricFamily(
        "sessiond_logins",
        "Logins: opened, or refused for a reason; refused ones within a second",
        labels=["issuer", "outcome", "reason"],
    )
    for labels, count in sorted(store.logins.items()):
        logins.add_metric(labels, count)
    yield logins


def _of_table(counts: Counts | None) -> Iterable[Metric]:
    if counts is None:
        return
    sessions = GaugeMetricFamily("sessiond_sessions", "Live sessions by state", labels=["state"])
    for state, count in counts.sessions.items():
        sessions.add_metric([state.value], count)
    yield sessions
    yield _gauge("grants", "Grants that sessions hang on", counts.grants)
    yield _gauge("revocations", "Lasting revocations in force", counts.revocations)


def _of_issuers(view: View) -> Iterable[Metric]:
    healthy = GaugeMetricFamily(
        "sessiond_issuer_healthy", "0 while logins do not wait for it", labels=["issuer"]
    )
    success = GaugeMetricFamily(
        "sessiond_issuer_last_success_timestamp_seconds",
        "When it last answered a login, a refresh or a trial call",
        labels=["issuer"],
    )
    refreshes = CounterMetricFamily(
        "sessiond_refreshes", "Refreshes by outcome", labels=["issuer", "outcome"]
    )
    for name, issuer in view.issuers.items():
        healthy.add_metric([name], float(not issuer.breaker.is_open))
        if issuer.watch.last_success_at is not None:
            success.add_metric([name], issuer.watch.last_success_at.timestamp())
        for outcome, count in sorted(issuer.watch.refreshes.items()):
            refreshes.add_metric([name, outcome], count)
    return healthy, success, refreshes


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sessiond_{name}", text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"sessiond_{name}", text, value)
