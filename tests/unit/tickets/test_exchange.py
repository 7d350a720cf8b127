"""A token is exchanged for a ticket where a login with it would be let in, and nowhere else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlencode

import anyio
import pytest

from sessiond.core.access import Denied
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.queries import CheckAdmission
from sessiond.core.secret import Secret
from sessiond.gate import Gate
from sessiond.tickets.exchange import Exchanged, SubjectRefused
from sessiond.tickets.exchange_request import ACCESS_TOKEN, GRANT_TYPE, JWT, ExchangeRefused
from sessiond.tickets.settings import TicketSettings
from sessiond.tickets.tickets import Tickets
from tests.fakes import START, FakeClock, Settings, idle, process_key, token_hash, verdict
from tests.unit.gate.fakes import ScriptedVerifier, gate_issuer, gate_settings, jwt
from tests.unit.tickets.making import SETTINGS, KeyTable, password, tickets_on

pytestmark = pytest.mark.anyio


@dataclass
class Exchanging:
    """The room, on a scripted issuer."""

    tickets: Tickets
    table: KeyTable
    verifier: ScriptedVerifier
    settings: Settings[TicketSettings | None]

    async def exchange(self, brings: str = "token-of-alice", **others: str) -> Exchanged:
        form = {
            "grant_type": GRANT_TYPE,
            "subject_token": brings,
            "subject_token_type": ACCESS_TOKEN,
            "audience": "rdb1",
            **others,
        }
        return await self.tickets.exchange.exchange(urlencode(form).encode(), process_key(9))

    async def refused(self, brings: str = "token-of-alice", **others: str) -> ExchangeRefused:
        with pytest.raises(ExchangeRefused) as refused:
            await self.exchange(brings, **others)
        return refused.value


@asynccontextmanager
async def exchanging(clock: FakeClock) -> AsyncIterator[Exchanging]:
    verifier, table = ScriptedVerifier(), KeyTable()
    settings = Settings[TicketSettings | None](SETTINGS)
    gate = Gate(gate_settings(gate_issuer(verifier, clock)), clock=clock)
    tickets = tickets_on(table, gate, clock, settings)
    await tickets.keys.see_to()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.run)
        await idle()
        yield Exchanging(tickets, table, verifier, settings)
        tasks.cancel_scope.cancel()


async def test_a_token_that_would_let_its_user_in_is_exchanged(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        found = await at_work.exchange()
        assert (found.user, found.issuer, found.audience) == ("alice", "corp", "rdb1")
        assert (found.expires_in, found.issued.expires_at) == (30, START + timedelta(seconds=30))
        checked = at_work.tickets.checking.check(
            password(found.issued.ticket), process="rdb1", typed="alice"
        )
        assert checked.ticket.parent is None
        assert checked.presented is not None
        assert checked.presented.verdict == verdict()
        assert checked.presented.access == token_hash("token-of-alice")
        assert checked.presented.refresh is None
        assert checked.presented.refresh_token is None
        (asked,) = at_work.table.asked
        assert isinstance(asked, CheckAdmission)
        assert asked.presented == checked.presented
        assert not asked.is_proof_due


async def test_no_token_is_in_a_ticket(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        ticket = (await at_work.exchange("secret-token-of-alice")).issued.ticket.reveal()
        assert "secret" not in ticket
        assert "token-of" not in ticket


async def test_a_ticket_lasts_no_longer_than_the_token(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        at_work.verifier.says = verdict(length=timedelta(seconds=5))
        assert (await at_work.exchange()).expires_in == 5


async def test_a_token_that_must_be_proved_is_asked_about_so(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        at_work.settings.now = replace(SETTINGS, proved=frozenset({"corp"}))
        await at_work.exchange()
        (asked,) = at_work.table.asked
        assert isinstance(asked, CheckAdmission)
        assert asked.is_proof_due


@pytest.mark.parametrize(
    ("says", "error", "reason"),
    [
        (TokenRejected(Refusal.INACTIVE, "by its issuer"), "invalid_request", "inactive"),
        (TokenRejected(Refusal.WRONGAUDIENCE, "x"), "invalid_request", "wrongaudience"),
        (IssuerUnavailable("away"), "temporarily_unavailable", "unavailable"),
        (TokenRejected(Refusal.THROTTLED, "x"), "temporarily_unavailable", "throttled"),
    ],
)
async def test_a_token_that_is_refused_is_told_by_a_word(
    clock: FakeClock, says: Exception, error: str, reason: str
) -> None:
    async with exchanging(clock) as at_work:
        at_work.verifier.says = says
        refused = await at_work.refused()
        assert isinstance(refused, SubjectRefused)
        assert (refused.error, refused.reason, refused.issuer) == (error, reason, "corp")
        assert refused.description == f"the subject token is refused: {reason}"
        assert at_work.table.asked == []


async def test_what_the_table_knows_of_a_token_counts(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        at_work.table.says = Denied(reason=Refusal.REVOKED, detail="by an operator")
        refused = await at_work.refused()
        assert isinstance(refused, SubjectRefused)
        assert (refused.reason, refused.detail) == ("revoked", "by an operator")


async def test_an_issuer_that_takes_too_long_is_waited_for_no_longer_than_a_login(
    clock: FakeClock,
) -> None:
    async with exchanging(clock) as at_work:
        at_work.settings.now = replace(SETTINGS, deadline=0.01)
        at_work.verifier.hold()
        refused = await at_work.refused()
        assert isinstance(refused, SubjectRefused)
        assert (refused.error, refused.reason) == ("temporarily_unavailable", "deadline")


@pytest.mark.parametrize(
    "token", ["ticket:eyJhbGciOiJub25lIn0.e30.x", "a b", "two;halves", "x" * 40_000]
)
async def test_what_is_no_access_token_goes_to_no_issuer(clock: FakeClock, token: str) -> None:
    async with exchanging(clock) as at_work:
        refused = await at_work.refused(token)
        assert refused.error == "invalid_request"
        assert at_work.verifier.asked == []


async def test_what_is_said_to_be_a_jwt_is_one(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        assert (await at_work.refused(subject_token_type=JWT)).error == "invalid_request"
        assert (await at_work.exchange(jwt(), subject_token_type=JWT)).user == "alice"


async def test_it_is_for_configured_audiences_and_while_tickets_are_on(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        assert (await at_work.refused(audience="hdb1")).error == "invalid_target"
        assert (await at_work.refused(audience="rdb1@host2")).error == "invalid_target"
        at_work.settings.now = None
        assert (await at_work.refused()).error == "unauthorized_client"
        assert at_work.verifier.asked == []


async def test_a_user_with_more_roles_than_a_password_holds_gets_none(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        at_work.verifier.says = verdict(roles=tuple(f"role-{n:04}-{'x' * 50}" for n in range(500)))
        refused = await at_work.refused()
        assert refused.error == "invalid_request"
        assert "so many roles" in refused.description


async def test_without_a_key_it_is_tried_again_later(clock: FakeClock) -> None:
    verifier, settings = ScriptedVerifier(), Settings[TicketSettings | None](SETTINGS)
    gate = Gate(gate_settings(gate_issuer(verifier, clock)), clock=clock)
    tickets = tickets_on(KeyTable(), gate, clock, settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.run)
        await idle()
        at_work = Exchanging(tickets, KeyTable(), verifier, settings)
        assert (await at_work.refused()).error == "temporarily_unavailable"
        tasks.cancel_scope.cancel()


async def test_a_secret_is_in_no_error(clock: FakeClock) -> None:
    async with exchanging(clock) as at_work:
        at_work.verifier.says = TokenRejected(Refusal.INACTIVE, "x")
        refused = await at_work.refused("secret-token-of-alice")
        assert "secret" not in repr(refused) + str(refused)
        assert repr(Secret("secret")) == "Secret(***)"
