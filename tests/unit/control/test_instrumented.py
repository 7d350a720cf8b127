"""What is noted as it happens, by layers that change nothing of it."""

from functools import partial

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.control.instrumented import (
    IssuerWatch,
    WatchedSource,
    WatchedStore,
    WatchedVerifier,
)
from sessiond.control.view import IssuerView
from sessiond.core.errors import (
    ClientRefused,
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    StoreError,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.events import LoginRefused
from sessiond.core.secret import Secret
from sessiond.refresher import Tokens
from tests.fakes import START, FakeClock, MemoryStore, idle, opened_event
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


@pytest.mark.parametrize("is_heard_here", [True, False])
@pytest.mark.parametrize("needs", [True, False])
async def test_only_a_plugins_call_that_took_one_shows_how_the_issuer_is(
    watch: IssuerWatch, needs: bool, is_heard_here: bool
) -> None:
    scripted = ScriptedVerifier(asks=False, needs=needs)
    verifier = WatchedVerifier(scripted, watch, is_heard_here=is_heard_here)
    await verifier.verify(Secret("token"), now=START)
    assert watch.last_success_at == (START if needs and is_heard_here else None)


@pytest.mark.parametrize(
    ("says", "is_answer"),
    [
        (TokenRejected(Refusal.EXPIRED, "over"), True),
        (UnusableAnswer("odd"), True),
        (IssuerUnavailable("down"), False),
    ],
)
async def test_a_refusal_is_an_answer_and_an_outage_is_an_error(
    clock: FakeClock, watch: IssuerWatch, says: Exception, is_answer: bool
) -> None:
    verifier = WatchedVerifier(ScriptedVerifier(says=says), watch, is_heard_here=True)
    with pytest.raises(type(says)):
        await verifier.verify(Secret("token"), now=START)
    assert watch.last_success_at == (START if is_answer else None)
    assert watch.last_error == ("" if isinstance(says, TokenRejected) else str(says))
    assert verifier.asks


async def test_three_calls_in_a_row_that_failed_are_trouble_and_one_answer_ends_it(
    watch: IssuerWatch,
) -> None:
    assert watch.trouble == "it has not been asked yet"
    watch.heard(IssuerUnavailable("no route"))
    assert watch.trouble == "no route"  # never reached
    watch.heard(None)
    for number in range(2):
        watch.heard(IssuerUnavailable(f"down {number}"))
    assert watch.trouble == ""
    watch.heard(IssuerUnavailable("down for good"))
    assert watch.trouble == "down for good"
    watch.heard(None)
    assert watch.trouble == ""


async def test_a_client_that_is_refused_is_told_once_and_is_trouble_until_it_is_not(
    watch: IssuerWatch,
) -> None:
    watch.heard(None)
    scripted = ScriptedVerifier(says=ClientRefused("401: see client_id"))
    verifier, source = WatchedVerifier(scripted, watch), WatchedSource(ScriptedSource(), watch)
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(ClientRefused):
                await verifier.verify(Secret("token"), now=START)
    told = [(each["event"], each["client"], each["error"]) for each in logs]
    assert told == [("client refused", "login", "401: see client_id")]
    await source.refresh(Secret("refresh"))  # another client's
    scripted.probe_says = UnusableAnswer("404")
    with pytest.raises(UnusableAnswer):
        await verifier.probe()
    assert watch.trouble == "401: see client_id"
    scripted.probe_says = None
    await verifier.probe()
    assert watch.trouble == ""


async def test_what_a_plugin_says_of_its_issuer_is_shown_without_secrets(
    watch: IssuerWatch,
) -> None:
    watch.heard(IssuerUnavailable("Bearer abcdefghijklmnop \x1b[2J" + "x" * 1000))
    assert watch.last_error.startswith("[redacted]")
    assert len(watch.last_error) == 500


@pytest.mark.parametrize(
    ("fault", "outcome", "error"),
    [
        (None, "ok", ""),
        (RefreshRefused("invalid_grant"), "refused", ""),
        (IssuerUnavailable("down"), "unavailable", "down"),
        (IssuerThrottled("busy", retry_after=3), "throttled", "busy"),
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


async def test_an_issuer_whose_keys_are_not_to_be_had_is_in_trouble_though_it_answers(
    clock: FakeClock, watch: IssuerWatch
) -> None:
    corp, trouble = door(ScriptedVerifier(), clock), ["the key set: 404"]
    watch.heard(None)
    view = IssuerView(
        realm=corp.realm, breaker=corp.breaker, watch=watch, keys_trouble=lambda: trouble[0]
    )
    assert view.trouble == "the key set: 404"
    trouble[0] = ""
    assert view.trouble == ""


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
    watch.heard(None)
    assert watch.successor().last_success_at == watch.last_success_at == START
