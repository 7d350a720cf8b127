"""What is noted as it happens, by layers that change nothing of it."""

from functools import partial

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.control.instrumented import (
    InstrumentedStore,
    InstrumentedTokenSource,
    InstrumentedVerifier,
    InstrumentedWebClient,
)
from sessiond.control.view import IssuerView
from sessiond.core.errors import (
    ClientRefused,
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    SignInRefused,
    StoreError,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.events import LoginRefused
from sessiond.core.secret import Secret
from sessiond.issuers.health import IssuerHealth
from sessiond.refresher import Tokens
from sessiond.web.web_client import AuthorizationRequest, Redeemed
from tests.fakes import START, FakeClock, MemoryStore, idle, opened_event
from tests.unit.gate.fakes import PlainVerifier, ScriptedVerifier, gate_issuer

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


class ScriptedWebClient:
    """Fulfils `sessiond.web.web_client.WebClient`."""

    issuer = "corp"
    client_id = "kdb-web"

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.held: anyio.Event | None = None
        self.given_back: list[Tokens] = []

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        await self._answer()
        return f"https://login.example.com/?state={request.state}"

    async def redeem(
        self, *, code: str, redirect_uri: str, verifier: Secret, nonce: str
    ) -> Redeemed:
        await self._answer()
        return Redeemed(tokens=TOKENS, subject=f"{code} {redirect_uri} {verifier.reveal()} {nonce}")

    async def give_back(self, tokens: Tokens) -> None:
        self.given_back.append(tokens)

    async def iss_fault(self, iss: str | None) -> str:
        await self._answer()
        return f"not {iss}"

    async def end_session_url(self, post_logout_redirect_uri: str) -> str:
        await self._answer()
        return post_logout_redirect_uri

    async def _answer(self) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.fault is not None:
            raise self.fault


REQUEST = AuthorizationRequest(
    redirect_uri="back", state="s", nonce="n", verifier=Secret("verifier")
)


async def redeem(client: InstrumentedWebClient) -> Redeemed:
    return await client.redeem(
        code="code", redirect_uri="back", verifier=Secret("verifier"), nonce="n"
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health(clock: FakeClock) -> IssuerHealth:
    return IssuerHealth(clock)


async def test_a_commit_is_counted_with_its_logins(clock: FakeClock) -> None:
    store = InstrumentedStore(MemoryStore(), clock)
    refused = LoginRefused(sequence=2, at=START, issuer="corp", reason="expired", count=5)
    await store.commit([], [opened_event(1), refused])
    await store.commit([], [])
    assert store.commits == {"ok": 2}
    assert store.events == {"session.opened": 1, "login.refused": 1}
    assert store.logins == {("", "opened", ""): 1, ("corp", "refused", "expired"): 5}
    assert [event.sequence for event in await store.events_after(1, limit=9)] == [2]


async def test_a_commit_that_failed_is_counted_and_nothing_of_it(clock: FakeClock) -> None:
    memory = MemoryStore()
    memory.failing = 1
    store = InstrumentedStore(memory, clock)
    with pytest.raises(StoreError):
        await store.commit([], [opened_event(1)])
    assert (store.commits, store.events) == ({"failed": 1}, {})


@pytest.mark.parametrize("is_heard_here", [True, False])
@pytest.mark.parametrize("needs", [True, False])
async def test_only_a_plugins_call_that_took_one_shows_how_the_issuer_is(
    health: IssuerHealth, needs: bool, is_heard_here: bool
) -> None:
    scripted = ScriptedVerifier(is_online=False, needs=needs)
    verifier = InstrumentedVerifier(scripted, health, is_heard_here=is_heard_here)
    await verifier.verify(Secret("token"), now=START)
    assert health.last_success_at == (START if needs and is_heard_here else None)


def test_what_a_verifier_says_at_once_is_handed_on_and_another_has_to_be_waited_for(
    health: IssuerHealth,
) -> None:
    scripted = ScriptedVerifier(is_online=False, needs=False)
    ready = InstrumentedVerifier(scripted, health)
    plain = InstrumentedVerifier(PlainVerifier(scripted), health)
    said = ready.verify_now(Secret("token"), now=START, generation=3)
    assert said is not None
    assert said.generation == 3
    assert plain.verify_now(Secret("token"), now=START, generation=3) is None
    assert health.last_success_at is None  # nobody was asked


@pytest.mark.parametrize(
    ("says", "is_answer"),
    [
        (TokenRejected(Refusal.EXPIRED, "over"), True),
        (UnusableAnswer("odd"), True),
        (IssuerUnavailable("down"), False),
    ],
)
async def test_a_refusal_is_an_answer_and_an_outage_is_an_error(
    clock: FakeClock, health: IssuerHealth, says: Exception, is_answer: bool
) -> None:
    verifier = InstrumentedVerifier(ScriptedVerifier(says=says), health, is_heard_here=True)
    with pytest.raises(type(says)):
        await verifier.verify(Secret("token"), now=START)
    assert health.last_success_at == (START if is_answer else None)
    assert health.last_error == ("" if isinstance(says, TokenRejected) else str(says))
    assert verifier.is_online


async def test_a_client_that_is_refused_is_told_once_and_is_trouble_until_it_is_not(
    health: IssuerHealth,
) -> None:
    health.heard(None)
    scripted = ScriptedVerifier(says=ClientRefused("401: see client_id"))
    verifier, source = (
        InstrumentedVerifier(scripted, health),
        InstrumentedTokenSource(ScriptedSource(), health),
    )
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
    assert health.trouble == "401: see client_id"
    scripted.probe_says = None
    await verifier.probe()
    assert health.trouble == ""


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
    health: IssuerHealth, fault: Exception | None, outcome: str, error: str
) -> None:
    source = InstrumentedTokenSource(ScriptedSource(fault), health)
    if fault is None:
        assert await source.refresh(Secret("refresh")) is TOKENS
    else:
        with pytest.raises(type(fault)):
            await source.refresh(Secret("refresh"))
    assert health.refreshes == {outcome: 1}
    assert health.last_error == error
    assert await source.revoke(Secret("refresh"))


async def test_each_call_is_told_with_its_kind_and_what_it_took(clock: FakeClock) -> None:
    told: list[tuple[str, float]] = []
    health = IssuerHealth(clock, note_call=lambda kind, seconds: told.append((kind, seconds)))
    scripted = ScriptedVerifier(is_online=False)
    verifier, source = (
        InstrumentedVerifier(scripted, health),
        InstrumentedTokenSource(ScriptedSource(), health),
    )
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
    clock: FakeClock, health: IssuerHealth
) -> None:
    corp, trouble = gate_issuer(ScriptedVerifier(), clock), ["the key set: 404"]
    health.heard(None)
    view = IssuerView(
        route=corp.route, breaker=corp.breaker, health=health, keys_trouble=lambda: trouble[0]
    )
    assert view.trouble == "the key set: 404"
    trouble[0] = ""
    assert view.trouble == ""


async def test_what_a_web_client_answers_is_handed_on_and_redeeming_alone_is_a_call(
    clock: FakeClock,
) -> None:
    told: list[str] = []
    health = IssuerHealth(clock, note_call=lambda kind, _: told.append(kind))
    scripted = ScriptedWebClient()
    client = InstrumentedWebClient(scripted, health)
    assert (client.issuer, client.client_id) == ("corp", "kdb-web")
    assert await client.authorization_url(REQUEST) == "https://login.example.com/?state=s"
    assert await client.iss_fault("x") == "not x"
    assert await client.end_session_url("there") == "there"
    assert told == []
    redeemed = await redeem(client)
    assert (redeemed.tokens, redeemed.subject) == (TOKENS, "code back verifier n")
    await client.give_back(TOKENS)
    assert (told, scripted.given_back) == (["redeem", "revoke"], [TOKENS])


@pytest.mark.parametrize(
    "fault", [None, SignInRefused("invalid_grant"), TokenRejected(Refusal.USERMISMATCH, "another")]
)
async def test_a_web_client_that_is_refused_is_trouble_until_the_issuer_takes_it_again(
    health: IssuerHealth, fault: Exception | None
) -> None:
    health.heard(None)
    scripted = ScriptedWebClient(SignInRefused("invalid_client", "see [issuer.web]"))
    client = InstrumentedWebClient(scripted, health)
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(SignInRefused):
                await redeem(client)
    assert [(each["event"], each["client"]) for each in logs] == [("client refused", "web")]
    trouble = "the issuer says invalid_client: see [issuer.web]"
    assert (health.trouble, health.last_error) == (trouble, trouble)
    scripted.fault = None
    await client.authorization_url(REQUEST)  # which asks nobody who we are
    await InstrumentedTokenSource(ScriptedSource(), health).refresh(Secret("another client's"))
    assert health.trouble == trouble
    scripted.fault = fault
    if fault is None:
        await redeem(client)
    else:
        with pytest.raises(type(fault)):
            await redeem(client)
    assert health.trouble == ""


async def test_refreshes_of_a_web_clients_grants_are_its_own(health: IssuerHealth) -> None:
    health.heard(None)
    source = ScriptedSource(ClientRefused("401"))
    instrumented = InstrumentedTokenSource(source, health, client="web")
    with capture_logs() as logs, pytest.raises(ClientRefused):
        await instrumented.refresh(Secret("refresh"))
    assert [each["client"] for each in logs] == ["web"]
    await instrumented.revoke(Secret("refresh"))
    assert health.trouble == ""


async def test_a_sign_in_under_way_is_over_before_its_issuer_is_closed(
    health: IssuerHealth,
) -> None:
    scripted = ScriptedWebClient()
    scripted.held, over = anyio.Event(), anyio.Event()
    client = InstrumentedWebClient(scripted, health)

    async def wait() -> None:
        await health.over()
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(redeem, client)
        tasks.start_soon(client.authorization_url, REQUEST)
        await idle()
        tasks.start_soon(wait)
        await idle()
        assert not over.is_set()
        scripted.held.set()
        await over.wait()
