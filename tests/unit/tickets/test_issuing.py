"""A ticket is made for a session that is in use, as deep as configured, for whom it may be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sessiond.core.session import ActiveSession, SessionState
from sessiond.gate import Gate
from sessiond.tickets.issuing import IssuedTicket, NoTicket, TicketRefusal
from sessiond.tickets.reading import PresentedAt, TicketReading
from sessiond.tickets.settings import TicketSettings, urn_of
from sessiond.tickets.tickets import Tickets
from tests.fakes import HOUR, START, FakeClock, Settings, session, session_id
from tests.unit.gate.fakes import gate_settings
from tests.unit.tickets.making import ISSUER, SETTINGS, KeyTable, taken_apart, tickets_on

pytestmark = pytest.mark.anyio

PARENT = ActiveSession(session=session(1), expires_at=START + HOUR)


async def signing(clock: FakeClock, settings: TicketSettings | None = SETTINGS) -> Tickets:
    """Return the room with a key that signs."""
    now = Settings[TicketSettings | None](settings)
    tickets = tickets_on(KeyTable(), Gate(gate_settings(), clock=clock), clock, now)
    await tickets.keys.see_to()
    return tickets


def parent(
    *, state: SessionState = SessionState.OPEN, hops: int = 0, expires_at: datetime = START + HOUR
) -> ActiveSession:
    return ActiveSession(session=session(1, state=state, hops=hops), expires_at=expires_at)


async def test_a_ticket_says_who_for_whom_and_until_when(clock: FakeClock) -> None:
    tickets = await signing(clock)
    made = tickets.issuing.issue(PARENT, "rdb1@host1")
    assert isinstance(made, IssuedTicket)
    at = PresentedAt(process="rdb1", typed="Alice", now=START)
    reading = TicketReading(taken_apart(made.ticket.reveal()), SETTINGS, tickets.keys.public, at)
    claims = reading.read()
    assert (claims.iss, claims.sub, claims.name) == (ISSUER, "subject of alice", "alice")
    assert (claims.aud, claims.sid, claims.jti) == ("rdb1@host1", session_id(1), made.id)
    assert claims.iat == int(START.timestamp())
    assert claims.expires_at == made.expires_at == START + timedelta(seconds=30)


async def test_no_two_tickets_are_one(clock: FakeClock) -> None:
    tickets = await signing(clock)
    made = [tickets.issuing.issue(PARENT, "rdb1") for _ in range(3)]
    assert len({each.id for each in made if isinstance(each, IssuedTicket)}) == 3


async def test_a_ticket_lasts_no_longer_than_its_session(clock: FakeClock) -> None:
    tickets = await signing(clock)
    ends = START + timedelta(seconds=10.2)
    made = tickets.issuing.issue(parent(expires_at=ends), "rdb1")
    assert isinstance(made, IssuedTicket)
    assert made.expires_at == START + timedelta(seconds=11)  # whole seconds


async def test_a_lifetime_is_no_shorter_for_being_told_in_whole_seconds(clock: FakeClock) -> None:
    tickets = await signing(clock, replace(SETTINGS, lifetime=timedelta(seconds=1)))
    await clock.advance(0.9)
    made = tickets.issuing.issue(PARENT, "rdb1")
    assert isinstance(made, IssuedTicket)
    assert made.expires_at == datetime.fromtimestamp(START.timestamp() + 2, UTC)


@pytest.mark.parametrize("state", [SessionState.OPEN, SessionState.WEB])
async def test_a_session_that_is_in_use_has_tickets(clock: FakeClock, state: SessionState) -> None:
    tickets = await signing(clock)
    assert isinstance(tickets.issuing.issue(parent(state=state), "rdb1"), IssuedTicket)


@pytest.mark.parametrize(
    ("found", "audience", "reason"),
    [
        (None, "rdb1", "nosession"),
        (parent(state=SessionState.UNBOUND), "rdb1", "nosession"),
        (parent(state=SessionState.WAITING), "rdb1", "nosession"),
        (parent(expires_at=START), "rdb1", "nosession"),
        (parent(hops=1), "rdb1", "depth"),
        (parent(hops=1), "hdb1", "depth"),
        (PARENT, "hdb1", "notallowed"),
        (PARENT, "rdb1@host2", "notallowed"),
        (PARENT, "", "notallowed"),
    ],
)
async def test_all_others_have_none_each_with_its_reason(
    clock: FakeClock, found: ActiveSession | None, audience: str, reason: str
) -> None:
    tickets = await signing(clock)
    refused = tickets.issuing.issue(found, audience)
    assert isinstance(refused, NoTicket)
    assert refused.reason == reason
    assert ", wanted " in refused.detail


async def test_more_depth_is_more_hops(clock: FakeClock) -> None:
    tickets = await signing(clock, replace(SETTINGS, depth=2))
    assert isinstance(tickets.issuing.issue(parent(hops=1), "rdb1"), IssuedTicket)
    assert isinstance(tickets.issuing.issue(parent(hops=2), "rdb1"), NoTicket)


async def test_without_tickets_there_is_none(clock: FakeClock) -> None:
    tickets = await signing(clock, None)
    refused = tickets.issuing.issue(PARENT, "rdb1")
    assert isinstance(refused, NoTicket)
    assert refused.reason is TicketRefusal.NOTALLOWED


async def test_without_a_key_there_is_none_now(clock: FakeClock) -> None:
    now = Settings[TicketSettings | None](SETTINGS)
    tickets = tickets_on(KeyTable(), Gate(gate_settings(), clock=clock), clock, now)
    refused = tickets.issuing.issue(PARENT, "rdb1")
    assert isinstance(refused, NoTicket)
    assert refused.reason is TicketRefusal.UNAVAILABLE


async def test_tickets_are_counted_as_they_are_made_or_refused(clock: FakeClock) -> None:
    tickets = await signing(clock)
    tickets.issuing.count()
    tickets.issuing.count(TicketRefusal.DEPTH)
    tickets.issuing.count(TicketRefusal.DEPTH)
    assert tickets.counts.issued == {"call": 1}
    assert tickets.counts.refused == {("call", "depth"): 2}


def test_a_daemon_is_called_by_its_machine_where_nobody_says_otherwise() -> None:
    assert urn_of("Host1.Corp.Example") == "urn:sessiond:host1.corp.example"
    assert urn_of("høst 1") == "urn:sessiond:h%C3%B8st%201"
