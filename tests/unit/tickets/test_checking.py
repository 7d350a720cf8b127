"""A presented ticket comes to whom it lets in, or to why it does not; nothing is spent by that."""

import pytest

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession
from sessiond.tickets import verdicts
from sessiond.tickets.checking import CheckedTicket
from sessiond.tickets.issuing import IssuedTicket
from sessiond.tickets.reading import CHECKS, TicketCheck
from sessiond.tickets.tickets import Tickets
from tests.fakes import HOUR, START, FakeClock, presented, session, session_id
from tests.unit.tickets.making import INSTANCE, JTI, RING, SETTINGS, claims, password
from tests.unit.tickets.test_issuing import signing

pytestmark = pytest.mark.anyio

PARENT = ActiveSession(session=session(1), expires_at=START + HOUR)


def checked(
    tickets: Tickets, given: Secret, process: str = "rdb1", typed: str = "alice"
) -> CheckedTicket:
    return tickets.checking.check(given, process=process, typed=typed)


def reason(tickets: Tickets, given: Secret, **at: str) -> str:
    with pytest.raises(TokenRejected) as rejected:
        checked(tickets, given, **at)
    return rejected.value.reason.value


async def test_a_sessions_ticket_names_its_parent(clock: FakeClock) -> None:
    tickets = await signing(clock)
    made = tickets.issuing.issue(PARENT, "rdb1")
    assert isinstance(made, IssuedTicket)
    found = checked(tickets, password(made.ticket))
    assert found.presented is None
    assert (found.ticket.id, found.ticket.name) == (made.id, "alice")
    assert (found.ticket.parent, found.ticket.expires_at) == (session_id(1), made.expires_at)


async def test_an_exchanged_one_brings_what_was_verified(clock: FakeClock) -> None:
    tickets = await signing(clock)
    tokens = presented("access")
    sealed = verdicts.sealed(tokens, JTI, SETTINGS, RING, instance=INSTANCE)
    signer = tickets.keys.signing
    assert signer is not None
    found = checked(tickets, password(signer.sign(claims(verdict=sealed, audience="rdb1"))))
    assert found.presented == tokens
    assert found.ticket.parent is None


async def test_one_whose_verdict_does_not_open_is_refused(clock: FakeClock) -> None:
    tickets = await signing(clock)
    signer = tickets.keys.signing
    assert signer is not None
    given = password(signer.sign(claims(verdict="AAAA", audience="rdb1")))
    assert reason(tickets, given) == "malformed"


async def test_what_is_no_ticket_is_refused_with_its_reason(clock: FakeClock) -> None:
    tickets = await signing(clock)
    made = tickets.issuing.issue(PARENT, "rdb1")
    assert isinstance(made, IssuedTicket)
    given = password(made.ticket)
    assert reason(tickets, Secret("ticket:x")) == "malformed"
    assert reason(tickets, Secret("ticket:" + "x" * 40_000)) == "toolarge"
    assert reason(tickets, given, process="rdb2") == "wrongaudience"
    assert reason(tickets, given, typed="bob") == "usermismatch"
    assert reason(await signing(clock, None), given) == "wrongissuer"
    assert reason(await signing(clock), given) == "badsignature"  # another daemon of that name
    await clock.advance(30)
    assert reason(tickets, given) == "expired"


async def test_it_tells_how_far_a_ticket_came(clock: FakeClock) -> None:
    tickets = await signing(clock)
    made = tickets.issuing.issue(PARENT, "rdb1")
    assert isinstance(made, IssuedTicket)
    passed: list[TicketCheck] = []
    tickets.checking.check(password(made.ticket), process=None, typed="alice", passed=passed)
    assert tuple(passed) == CHECKS


async def test_logins_are_counted_as_they_end(clock: FakeClock) -> None:
    tickets = await signing(clock)
    tickets.checking.count(None)
    tickets.checking.count(Refusal.EXPIRED)
    assert tickets.counts.spent == 1
    assert tickets.counts.refused == {("login", "expired"): 1}
