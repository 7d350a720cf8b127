"""What is noted as it happens, by layers that change nothing of it."""

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
from sessiond.edge.control.watched import (
    IssuerWatch,
    WatchedSource,
    WatchedStore,
    WatchedVerifier,
)
from sessiond.refresher import Tokens
from tests.fakes import MINUTE, START, FakeClock, MemoryStore, idle, opened_event
from tests.unit.gate.fakes import ScriptedVerifier

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


async def test_who_waits_for_more_is_told_when_it_is_on_disk(clock: FakeClock) -> None:
    memory, over = MemoryStore(), list[int]()
    store = WatchedStore(memory, clock)

    async def wait(sequence: int) -> None:
        await store.wait_beyond(sequence)
        over.append(sequence)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, 0)
        tasks.start_soon(wait, 1)
        gate = memory.hold()
        tasks.start_soon(store.commit, [], [opened_event(1)])
        await idle()
        assert over == []
        gate.set()
        await idle()
        assert over == [0]
        await store.commit([], [opened_event(2)])
        await idle()
        assert over == [0, 1]


@pytest.mark.parametrize("needs", [True, False])
async def test_only_a_verdict_that_took_a_call_is_a_success(
    clock: FakeClock, watch: IssuerWatch, needs: bool
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
