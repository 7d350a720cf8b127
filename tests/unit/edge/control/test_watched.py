"""What is noted as it happens, by layers that change nothing of it."""

from datetime import datetime
from functools import partial

import anyio
import pytest

from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    StoreError,
    TokenRejected,
)
from sessiond.core.events import LoginRefused
from sessiond.core.secret import Secret
from sessiond.edge.control.view import IssuerView
from sessiond.edge.control.watched import (
    IssuerWatch,
    WatchedSource,
    WatchedStore,
    WatchedVerifier,
)
from sessiond.refresher import Tokens
from tests.fakes import MINUTE, START, FakeClock, MemoryStore, idle, opened_event
from tests.unit.gate.fakes import ScriptedVerifier, door

pytestmark = pytest.mark.anyio

TOKENS = Tokens(access_token=Secret("next"), refresh_token=None, expires_in=None)


class ScriptedSource:
    """Fulfils `sessiond.refresher.TokenSource`."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    async def refresh(self, token: Secret) -> Tokens:
        if self.fault is not None:
            raise self.fault
        return TOKENS

    async def revoke(self, token: Secret) -> bool:
        return True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def watch(clock: FakeClock) -> IssuerWatch:
    return IssuerWatch(clock)


async def test_a_commit_is_counted_with_its_logins(clock: FakeClock) -> None:
    store = WatchedStore(MemoryStore(), clock)
    refused = LoginRefused(sequence=2, at=START, issuer="corp", reason="expired", count=5)
    await store.commit([], [opened_event(1), refused])
    await store.commit([], [])
    assert store.sequence == 2
    assert store.commits == {"ok": 2}
    assert store.events == {"session.opened": 1, "login.refused": 1}
    assert store.logins == {("", "opened", ""): 1, ("corp", "refused", "expired"): 5}
    assert [event.sequence for event in await store.events_after(1, limit=9)] == [2]


async def test_a_commit_that_failed_is_counted_and_nothing_of_it(clock: FakeClock) -> None:
    memory = MemoryStore()
    memory.failing = 1
    store = WatchedStore(memory, clock)
    with pytest.raises(StoreError):
        await store.commit([], [opened_event(1)])
    assert (store.sequence, store.commits, store.events) == (0, {"failed": 1}, {})


async def test_what_an_earlier_run_committed_is_known(clock: FakeClock) -> None:
    memory = MemoryStore()
    await memory.commit([], [opened_event(41)])
    store = WatchedStore(memory, clock)
    await store.load()
    assert store.sequence == 41


@pytest.mark.parametrize("needs", [True, False])
async def test_only_a_verdict_that_took_a_call_is_a_success(
    watch: IssuerWatch, needs: bool
) -> None:
    verifier = WatchedVerifier(ScriptedVerifier(asks=False, needs=needs), watch)
    await verifier.verify(Secret("token"), now=START)
    assert watch.last_success_at == (START if needs else None)


async def test_a_refusal_is_an_answer_and_an_outage_is_an_error(
    clock: FakeClock, watch: IssuerWatch
) -> None:
    scripted = ScriptedVerifier(says=TokenRejected(Refusal.EXPIRED, "over"))
    verifier = WatchedVerifier(scripted, watch)
    with pytest.raises(TokenRejected):
        await verifier.verify(Secret("token"), now=START)
    await clock.advance(MINUTE)
    scripted.probe_says = IssuerUnavailable("down")
    with pytest.raises(IssuerUnavailable):
        await verifier.probe()
    assert watch.last_success_at == START
    assert (watch.last_error, watch.last_error_at) == ("IssuerUnavailable", START + MINUTE)
    assert verifier.asks


@pytest.mark.parametrize(
    ("fault", "outcome", "error"),
    [
        (None, "ok", ""),
        (RefreshRefused("invalid_grant"), "refused", ""),
        (IssuerUnavailable("down"), "unavailable", "IssuerUnavailable"),
        (IssuerThrottled("busy", retry_after=3), "throttled", "IssuerThrottled"),
    ],
)
async def test_refreshes_are_counted_by_their_outcome(
    watch: IssuerWatch, fault: Exception | None, outcome: str, error: str
) -> None:
    source = WatchedSource(ScriptedSource(fault), watch)
    if fault is None:
        assert await source.refresh(Secret("refresh")) is TOKENS
    else:
        with pytest.raises(type(fault)):
            await source.refresh(Secret("refresh"))
    assert watch.refreshes == {outcome: 1}
    assert watch.last_error == error
    assert (watch.last_success_at is None) == bool(error)
    assert await source.revoke(Secret("refresh"))


async def test_each_call_is_told_with_its_kind_and_what_it_took(clock: FakeClock) -> None:
    told: list[tuple[str, float]] = []
    watch = IssuerWatch(clock, note_call=lambda kind, seconds: told.append((kind, seconds)))
    scripted = ScriptedVerifier(asks=False)
    verifier, source = WatchedVerifier(scripted, watch), WatchedSource(ScriptedSource(), watch)
    landing = scripted.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(verifier.verify, Secret("token"), now=START))
        await clock.advance(2)
        landing.set()
    scripted.needs = False
    await verifier.verify(Secret("token"), now=START)
    await verifier.probe()
    await source.refresh(Secret("refresh"))
    await source.revoke(Secret("refresh"))
    assert told == [("verify", 2), ("probe", 0), ("refresh", 0), ("revoke", 0)]


@pytest.mark.parametrize(
    ("noted", "heard", "shown"),
    [
        (None, None, None),
        (START, None, START),
        (None, START, START),
        (START, START + MINUTE, START + MINUTE),
        (START + MINUTE, START, START + MINUTE),
    ],
)
async def test_the_last_success_is_the_last_answer_to_whatever_was_asked(
    clock: FakeClock,
    watch: IssuerWatch,
    noted: datetime | None,
    heard: datetime | None,
    shown: datetime | None,
) -> None:
    watch.last_success_at = noted
    corp = door(ScriptedVerifier(), clock)
    view = IssuerView(
        realm=corp.realm, breaker=corp.breaker, watch=watch, answered_at=lambda: heard
    )
    assert view.last_success_at == shown


async def test_a_verdict_carries_the_generation_that_it_was_made_by(watch: IssuerWatch) -> None:
    verifier = WatchedVerifier(ScriptedVerifier(), watch, generation=3)
    assert (await verifier.verify(Secret("token"), now=START)).generation == 3


async def test_it_is_known_when_no_call_is_under_way(watch: IssuerWatch) -> None:
    await watch.over()
    scripted, over = ScriptedVerifier(), anyio.Event()
    held = scripted.hold()
    verifier = WatchedVerifier(scripted, watch)

    async def wait() -> None:
        await watch.over()
        over.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(partial(verifier.verify, Secret("token"), now=START))
        await idle()
        tasks.start_soon(wait)
        await idle()
        assert not over.is_set()
        await watch.successor().over()  # what is under way is not the successor's
        held.set()
        await over.wait()
    assert watch.successor().last_success_at == watch.last_success_at == START
