"""What Prometheus reads of tickets."""

from collections.abc import Iterable
from datetime import datetime
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sessiond.tickets.counts import Way
from sessiond.tickets.tickets import Tickets


def of_tickets(tickets: Tickets, *, now: datetime) -> Iterable[Metric]:
    """Yield how many tickets there were, and how old the key is that signs them.

    Where tickets were never on there is nothing to tell.
    """
    counts, since = tickets.counts, tickets.keys.signing_since
    if tickets.settings() is None and not (counts.issued or counts.spent or counts.refused):
        return
    issued = CounterMetricFamily(
        "sessiond_tickets_issued", "Tickets made, by how they were asked for", labels=["by"]
    )
    for way in get_args(Way):
        issued.add_metric([way], counts.issued[way])
    yield issued
    yield CounterMetricFamily(
        "sessiond_tickets_spent", "Logins that were let in by a ticket", counts.spent
    )
    refused = CounterMetricFamily(
        "sessiond_tickets_refused",
        "Tickets that were not made (call, exchange) or not taken (login), by reason",
        labels=["at", "reason"],
    )
    for (at, reason), count in sorted(counts.refused.items()):
        refused.add_metric([at, reason], count)
    yield refused
    if since is not None:
        yield GaugeMetricFamily(
            "sessiond_ticket_key_age_seconds",
            "Since the key that signs tickets has begun to: the next follows after 30 days",
            max(0.0, (now - since).total_seconds()),
        )
