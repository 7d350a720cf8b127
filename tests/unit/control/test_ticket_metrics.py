"""Tickets are counted for Prometheus, where there are any."""

import pytest

from tests.unit.control.test_ticketing import turn_on
from tests.unit.control.viewing import viewing

pytestmark = pytest.mark.anyio


async def test_the_numbers_and_the_age_of_the_key() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        daemon.view.tickets.counts.issued["call"] += 2
        daemon.view.tickets.counts.refuse("login", "expired")
        await daemon.clock.advance(60)
        text = (await daemon.ask("GET", "/metrics")).text
    for line in (
        'sessiond_tickets_issued_total{by="call"} 2.0',
        'sessiond_tickets_issued_total{by="exchange"} 0.0',
        "sessiond_tickets_spent_total 0.0",
        'sessiond_tickets_refused_total{at="login",reason="expired"} 1.0',
        "sessiond_ticket_key_age_seconds 60.0",
    ):
        assert line in text


async def test_where_tickets_were_never_on_nothing_is_told() -> None:
    async with viewing() as daemon:
        assert "ticket" not in (await daemon.ask("GET", "/metrics")).text


async def test_after_they_were_turned_off_the_numbers_stay() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        daemon.view.tickets.counts.spent += 1
        daemon.ticketed.now = None
        text = (await daemon.ask("GET", "/metrics")).text
    assert "sessiond_tickets_spent_total 1.0" in text
    assert "ticket_key_age" not in text
