"""A refresher whose issuers are replaced, and one that has more to do than may be asked at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.core.changes import Disown
from sessiond.core.errors import IssuerThrottled, Refusal, TokenRejected
from sessiond.core.events import Event
from sessiond.core.rows import Write
from sessiond.core.secret import Secret
from sessiond.gate import FairLimiter
from sessiond.refresher import RefreshIssuer
from sessiond.refresher.refresh_issuer import AHEAD
from tests.fakes import (
    RULES,
    FakeClock,
    MemoryStore,
    bind,
    grant,
    grant_id,
    idle,
    login,
    presented,
    principal,
    session,
    session_id,
    verdict,
)
from tests.unit.refresher.refreshing import (
    TEN_MINUTES,
    FreshVerifier,
    ScriptedTokens,
    Work,
    at_work,
    tokens,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def refresh_issuer(work: Work, **members: Any) -> RefreshIssuer:
    """Return another way to the same issuer."""
    limiter = anyio.CapacityLimiter(16)
    plain = RefreshIssuer(
        iss="corp",
        admits=lambda _: True,
        sources={"qstudio": work.source},
        verifier=work.verifier,
        limiter=limiter,
        unproved=FairLimiter(16),
    )
    return replace(plain, **members)


class HeldStore(MemoryStore):
    """Commits when it is let."""

    held: anyio.Event | None = None

    def hold(self) -> anyio.Event:
        self.held = anyio.Event()
        return self.held

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        if self.held is not None:
            await self.held.wait()
        await super().commit(writes, events)


def all_due(clock: FakeClock, count: int) -> MemoryStore:
    """Return what an earlier run has left: so many grants, each with a session."""
    store, soon = MemoryStore(), clock.now() + timedelta(seconds=6)
    for number in range(1, count + 1):
        due = grant(number, has_refresh_token=True, refresh_at=soon)
        store.rows[type(due), due.id] = due
        store.refresh_tokens[due.id] = Secret(f"refresh{number}")
        held = session(number, grant=grant_id(number), id=session_id(number))
        store.rows[type(held), held.id] = held
    return store


async def test_a_refresh_under_way_is_verified_by_the_new_line(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        held = work.source.hold()
        await work.minutes(6)
        newest = FreshVerifier()
        work.use({"corp": refresh_issuer(work, verifier=newest)})
        held.set()
        await work.minutes(0.1)
        assert len(newest.asked) == 1
        assert work.told == [("session.refreshed", "")]


@pytest.mark.parametrize("rejects", [False, True])
async def test_a_verdict_of_a_line_that_is_replaced_meanwhile_ends_nothing(
    clock: FakeClock, rejects: bool
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        work.verifier.length = timedelta(hours=1)
        if rejects:
            work.verifier.says = TokenRejected(Refusal.WRONGAUDIENCE, "not for us")
        held = work.verifier.hold()
        await work.minutes(6)
        newest = FreshVerifier()
        work.use({"corp": refresh_issuer(work, verifier=newest)})
        if not rejects:  # as the table decides it
            work.decide_by(replace(RULES, generations={"corp": 7}))
        held.set()
        await work.minutes(0.01)
        assert work.told == []
        assert len(await work.live()) == 1
        work.decide_by(RULES)
        await work.minutes(1)
        assert work.told == [("session.refreshed", "")]  # tried again


async def test_nothing_is_done_for_an_issuer_that_is_gone(clock: FakeClock) -> None:
    async with at_work(clock, recheck=60.0) as work:
        await work.log_in()
        await work.log_in(2, access="access2", refresh=None)
        work.refresher.hold(grant_id(2), issuer="corp", access=Secret("access2"))
        held = work.source.hold()
        await work.minutes(6)
        work.use({}, recheck=60.0)
        work.refresher.hold(grant_id(1), issuer="corp", access=Secret("access1"))
        asked = len(work.verifier.asked)
        held.set()
        await work.minutes(2)
        await work.revoke()
        await work.minutes(1)
        assert (len(work.sent), len(work.verifier.asked)) == (1, asked)
        assert work.source.revoked == []


async def test_when_all_are_due_at_once_the_issuer_is_asked_for_a_few_at_a_time(
    clock: FakeClock,
) -> None:
    store = all_due(clock, 200)
    async with at_work(clock, store=store, concurrency=4) as work:
        gate = work.source.hold()
        await work.minutes(0.1)
        in_flight = [each for each in work.table.grants() if each.in_flight_since is not None]
        assert (len(work.sent), len(in_flight)) == (4, 4 * AHEAD)
        work.use({"other": refresh_issuer(work)})
        few = {"limiter": anyio.CapacityLimiter(4), "unproved": FairLimiter(4)}
        work.use({"corp": refresh_issuer(work, **few)})
        for each in in_flight:
            work.refresher.follow(each)
        gate.set()
        await work.minutes(0.01)
        assert work.source.at_most <= 4 + 4  # the earlier one's, and those of the one of now
        assert len(work.sent) == len(set(work.sent))


async def test_each_one_has_its_turn(clock: FakeClock) -> None:
    store = all_due(clock, 100)
    async with at_work(clock, store=store, concurrency=4) as work:
        await work.minutes(0.1)
        assert sorted(work.sent) == sorted(f"refresh{number}" for number in range(1, 101))
        assert work.source.at_most <= 4


async def test_settling_begins_none_of_those_that_wait(clock: FakeClock) -> None:
    store = all_due(clock, 10)
    async with at_work(clock, store=store, concurrency=1) as work:
        gate = work.source.hold()
        await work.minutes(0.1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work.refresher.settle)
            await work.minutes(0.1)
            gate.set()
        assert len(work.sent) == 1


async def test_nobody_is_asked_again_once_that_is_switched_off(clock: FakeClock) -> None:
    async with at_work(clock, recheck=60.0) as work:
        await work.log_in(refresh=None)
        work.refresher.hold(grant_id(1), issuer="corp", access=Secret("access0"))
        await work.minutes(1)
        assert len(work.verifier.asked) == 1
        work.use({"corp": refresh_issuer(work)})
        await work.minutes(3)
        assert len(work.verifier.asked) == 1
        work.use({"corp": refresh_issuer(work)}, recheck=60.0)
        work.refresher.hold(grant_id(1), issuer="corp", access=Secret("access0"))
        await work.minutes(1)
        assert len(work.verifier.asked) == 2


async def test_a_wish_to_be_left_alone_ends_with_the_line_it_was_told_on(clock: FakeClock) -> None:
    years = IssuerThrottled("it refreshes nothing", retry_after=1e9)
    async with at_work(clock, answers=[years]) as work:
        await work.log_in()
        await work.minutes(7)
        work.use({"corp": refresh_issuer(work)})
        await work.log_in(2, access="access8", refresh="refresh8")
        await work.minutes(7)
        assert work.sent == ["refresh0", "refresh8"]


async def test_a_wish_to_be_left_alone_is_none_of_another_s_that_has_got_the_name(
    clock: FakeClock,
) -> None:
    async with at_work(clock, answers=[IssuerThrottled("busy", retry_after=1e6)]) as work:
        work.decide_by(replace(RULES, iss={"corp": "corp"}))
        await work.log_in()
        held = work.source.hold()
        await work.minutes(6)
        iss, other = "https://bank.example.com/", ScriptedTokens(clock, [])
        work.use({"corp": refresh_issuer(work, sources={"qstudio": other}, iss=iss)})
        work.decide_by(replace(RULES, iss={"corp": iss}))
        held.set()
        await work.table.ask(Disown(grants=(grant_id(1),)))
        await work.log_in(2, access="access8", refresh="refresh8")
        await work.minutes(7)
        assert [token for _, token in other.sent] == ["refresh8"]


async def test_what_one_issuer_gave_is_never_sent_to_another_that_has_got_its_name(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        old = work.source
        held = old.hold()
        await work.minutes(6)
        other, verifier = ScriptedTokens(clock, []), FreshVerifier()
        bank = refresh_issuer(
            work, sources={"qstudio": other}, verifier=verifier, iss="https://bank.example.com/"
        )
        work.use({"corp": bank})
        held.set()
        await work.table.ask(Disown(grants=(grant_id(1),)))
        await work.minutes(1)
        assert (len(old.sent), other.sent, other.revoked, verifier.asked) == (1, [], [], [])


async def test_what_is_begun_as_the_name_changes_hands_is_sent_to_nobody(clock: FakeClock) -> None:
    async with at_work(clock, store=(store := HeldStore())) as work:
        await work.log_in()
        held = store.hold()
        await work.minutes(6)  # being recorded
        other = ScriptedTokens(clock, [])
        bank = refresh_issuer(work, sources={"qstudio": other}, iss="https://bank.example.com/")
        work.use({"corp": bank})
        work.table.submit(Disown(grants=(grant_id(1),)))
        held.set()
        await work.minutes(1)
        assert (work.sent, other.sent) == ([], [])


async def test_a_refresh_token_is_sent_for_no_other_client_than_its_own(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        work.use({"corp": refresh_issuer(work, sources={"another": work.source})})
        await work.minutes(7)
        assert (work.sent, work.told) == ([], [])
        work.use({"corp": refresh_issuer(work)})
        await work.minutes(2)
        assert (work.sent, work.told) == (["refresh0"], [("session.refreshed", "")])


async def test_each_grant_is_refreshed_by_the_client_that_it_is_of(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        web = ScriptedTokens(clock, work.journal, [tokens(7)])
        both = {"qstudio": work.source, "kdb-web": web}
        work.use({"corp": refresh_issuer(work, sources=both)})
        await work.log_in()
        web_says = work.verifier.of["access7"] = verdict(principal("bob"), length=TEN_MINUTES)
        by_browser = presented("access of web", "refresh of web", says=web_says, client="kdb-web")
        await work.table.ask(login(2, by_browser))
        await work.table.ask(bind(2))
        await work.minutes(7)
        assert work.sent == ["refresh0"]
        assert [token for _, token in web.sent] == ["refresh of web"]
        for user in ("alice", "bob"):
            await work.revoke(user)
        await idle()
        assert (work.source.revoked, web.revoked) == (["refresh1"], ["refresh7"])


async def test_a_grant_whose_client_is_not_there_any_more_lasts_as_long_as_its_lease(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        work.use({"corp": refresh_issuer(work, sources={"kdb-web": work.source})})
        with capture_logs() as logs:
            await work.minutes(11)
        assert (work.sent, work.source.revoked) == ([], [])
        assert work.told == [("session.expired", "expired")]
        said = {each["error"] for each in logs if each["event"] == "refresh put off"}
        assert said == {
            "the refresh token is another client's, wanted one of a configured client: have the "
            "user sign in again, or set that client back"
        }


@pytest.mark.parametrize("is_refreshed", [True, False])
async def test_a_user_who_may_not_come_from_there_any_more_stays_no_longer(
    clock: FakeClock, is_refreshed: bool
) -> None:
    async with at_work(clock, recheck=60.0) as work:
        await work.log_in(refresh="refresh0" if is_refreshed else None)
        work.refresher.hold(grant_id(1), issuer="corp", access=Secret("access0"))
        bobs = refresh_issuer(work, admits=lambda name: name == "bob")
        work.use({"corp": bobs}, recheck=60.0)
        await work.minutes(7)
        assert work.told == [("session.revoked", "wrongissuer")]


async def test_a_recheck_that_a_replaced_line_refuses_ends_nothing(clock: FakeClock) -> None:
    async with at_work(clock, recheck=60.0) as work:
        await work.log_in(refresh=None)
        work.refresher.hold(grant_id(1), issuer="corp", access=Secret("access0"))
        work.verifier.says = TokenRejected(Refusal.WRONGAUDIENCE, "not for us")
        held = work.verifier.hold()
        await work.minutes(1)
        newest = FreshVerifier()
        work.use({"corp": refresh_issuer(work, verifier=newest)}, recheck=60.0)
        held.set()
        await work.minutes(1.1)
        assert (work.told, len(newest.asked)) == ([("session.refreshed", "")], 1)


async def test_a_wish_to_be_left_alone_stands_where_nothing_about_the_line_changes(
    clock: FakeClock,
) -> None:
    throttled = IssuerThrottled("busy", retry_after=1e9)
    async with at_work(clock, answers=[throttled]) as work:
        await work.log_in()
        await work.minutes(7)
        work.use(dict(work.settings.now.issuers))
        await work.log_in(2, access="access8", refresh="refresh8")
        await work.minutes(7)
        assert work.sent == ["refresh0"]
