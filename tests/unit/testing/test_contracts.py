"""The checks for plugin authors: what keeps its contract passes, and each break is found."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest
from msgspec import Struct

from sessiond.api import (
    ConfigError,
    Event,
    Gap,
    Granted,
    IssuerAbout,
    IssuerUnavailable,
    Principal,
    Refusal,
    Secret,
    SessionRevoked,
    TokenRejected,
    Verdict,
    settings_of,
)
from sessiond.testing import (
    START,
    check_role_source,
    check_settings,
    check_subscriber,
    check_verifier,
    issuer_about,
)

pytestmark = pytest.mark.anyio

ABOUT = issuer_about()
ALICE = Principal(issuer="corp", subject="s-1", name="alice")


class Settings(Struct, frozen=True, kw_only=True):
    word: str
    number: int = 1


class Subscriber:
    """Does everything right."""

    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)
        self.is_started = False

    async def start(self) -> None:
        self.is_started = True

    async def receive(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        assert self.is_started

    async def stop(self) -> None:
        self.is_started = False


class Batching:
    batch = 5

    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)

    async def receive_batch(self, events: list[Event]) -> None:
        await anyio.lowlevel.checkpoint()


class Plain:
    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)

    def receive(self, event: Event) -> None:
        pass


@pytest.mark.parametrize("entry", [Subscriber, Batching, Plain])
async def test_a_subscriber_that_keeps_its_contract_passes(entry: Any) -> None:
    await check_subscriber(entry, {"word": "x", "number": 2})


class NoGaps(Subscriber):
    async def receive(self, event: Event) -> None:
        if isinstance(event, Gap):
            raise KeyError("session")


class OnlyOnce(Subscriber):
    seen: set[int]

    async def receive(self, event: Event) -> None:
        if isinstance(event, SessionRevoked):
            if event.sequence in self.seen:
                raise ValueError("seen before")
            self.seen.add(event.sequence)


class Swallows(Subscriber):
    async def receive(self, event: Event) -> None:
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            raise ValueError("cut") from error


@pytest.mark.parametrize(
    ("entry", "broken"),
    [
        (NoGaps, "event gap was not received: KeyError"),
        (OnlyOnce, r"event session\.revoked was not received: ValueError: seen before"),
        (Swallows, "let cancellation through"),
    ],
)
async def test_each_break_of_a_subscribers_contract_is_found(entry: Any, broken: str) -> None:
    OnlyOnce.seen = set()
    with pytest.raises(AssertionError, match=broken):
        await check_subscriber(entry, {"word": "x"})


async def test_a_subscriber_that_leaves_an_event_behind_is_found() -> None:
    class Late(Plain):
        batch = 2

        async def receive_batch(self, events: list[Event]) -> None:
            await anyio.sleep_forever()

    with pytest.raises(AssertionError, match=r"not received when sent: session\.opened"):
        await check_subscriber(Late, {"word": "x"}, patience=0)


def test_settings_that_are_refused_by_name_pass() -> None:
    made = check_settings(Plain, {"word": "x", "number": 2})
    assert all(isinstance(each, Plain) for each in made)
    assert len(made) == 2  # from all, and without the number


def takes_all(**keys: Any) -> object:
    return object()


def names_nothing(**keys: Any) -> object:
    if keys == {"word": "x"}:
        return object()
    raise ConfigError("something is wrong")


def shows_values(**keys: Any) -> object:
    if keys == {"word": "x"}:
        return object()
    raise ConfigError(f"wrong: {keys}")


def plain_python(word: str) -> object:
    return object()


@pytest.mark.parametrize(
    ("entry", "broken"),
    [
        (takes_all, "no_such_key is taken, whatever it is"),
        (names_nothing, "no_such_key is refused without being named"),
        (shows_values, "value is shown"),
        (plain_python, "the entry point raises TypeError"),
    ],
)
def test_settings_that_are_not_refused_as_they_should_be_are_found(entry: Any, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_settings(entry, {"word": "x"})


KEY = b"the tests' own"


def token(**claims: object) -> Secret:
    plain = {
        "iss": "https://login.example.com/",
        "aud": "api://kdb",
        "sub": "s-1",
        "preferred_username": "alice",
        "exp": START.timestamp() + 3600,
        **claims,
    }
    text = urlsafe_b64encode(json.dumps(plain).encode()).decode()
    return Secret(f"{text}.{hmac.digest(KEY, text.encode(), 'sha256').hex()}")


class Verifier:
    """Does everything right."""

    asks = False

    def __init__(self, *, issuer: IssuerAbout, **keys: Any) -> None:
        settings_of(Settings, keys)
        self.issuer = issuer

    def needs_issuer(self, token: Secret) -> bool:
        return False

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        await anyio.lowlevel.checkpoint()
        return self.judge(token, now)

    def judge(self, token: Secret, now: datetime) -> Verdict:
        text, _, signature = token.reveal().partition(".")
        good = hmac.digest(KEY, text.encode(), "sha256").hex()
        if not hmac.compare_digest(good.encode(), signature.encode()):
            raise TokenRejected(Refusal.BADSIGNATURE, "not ours")
        from base64 import urlsafe_b64decode

        claims: Mapping[str, object] = json.loads(urlsafe_b64decode(text))
        return self.issuer.verdict(claims, now=now)

    def vouches(self, verdict: Verdict) -> bool:
        return True

    async def probe(self) -> None:
        pass


async def check(entry: Any) -> None:
    await check_verifier(entry, {"word": "x"}, issuer=ABOUT, token=token(), now=START)


async def test_a_verifier_that_keeps_its_contract_passes() -> None:
    await check(Verifier)


class Incomplete:
    def __init__(self, *, issuer: IssuerAbout, **keys: Any) -> None:
        settings_of(Settings, keys)


class OtherIssuers(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        return replace(
            super().judge(token, now), principal=Principal(issuer="x", subject="s", name="a")
        )


class Refuses(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        raise TokenRejected(Refusal.INACTIVE, "it is Sunday")


class Forgets(Verifier):
    def vouches(self, verdict: Verdict) -> bool:
        return False


class Undecided(Verifier):
    def needs_issuer(self, token: Secret) -> Any:
        return None


class AsksSecretly(Verifier):
    asks = True


class Sick(Verifier):
    async def probe(self) -> None:
        raise IssuerUnavailable("away")


class MixesUp(Verifier):
    waiting: Verdict | None = None
    count = 0

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        self.count += 1
        name = f"alice{self.count}"
        return replace(
            self.judge(token, now), principal=Principal(issuer="corp", subject=name, name=name)
        )


class Eternal(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        return super().judge(token, START)


class SaysOther(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        try:
            return super().judge(token, now)
        except TokenRejected as rejected:
            raise TokenRejected(Refusal.INACTIVE, "over") from rejected


class Shows(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        try:
            return super().judge(token, now)
        except TokenRejected as rejected:
            raise TokenRejected(rejected.reason, token.reveal()) from rejected


class Blames(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        try:
            return super().judge(token, now)
        except TokenRejected as rejected:
            if rejected.reason is Refusal.BADSIGNATURE:
                raise IssuerUnavailable("odd") from rejected
            raise


class Crashes(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        token.reveal().encode("ascii")
        return super().judge(token, now)


class Believes(Verifier):
    def judge(self, token: Secret, now: datetime) -> Verdict:
        end = START + timedelta(hours=1)
        if now >= end:
            raise TokenRejected(Refusal.EXPIRED, "over")
        claims = {"iss": "https://login.example.com/", "aud": "api://kdb", "sub": "s"}
        more = {"preferred_username": "alice", "exp": end.timestamp()}
        return self.issuer.verdict({**claims, **more}, now=now)


@pytest.mark.parametrize(
    ("entry", "broken"),
    [
        (Incomplete, "the verifier has no asks, needs_issuer"),
        (OtherIssuers, "the daemon does not believe its verdict"),
        (Refuses, "the good token is not accepted: inactive: it is Sunday"),
        (Forgets, "does not vouch"),
        (Undecided, "neither True nor False"),
        (AsksSecretly, "must be True"),
        (Sick, "its trial call fails"),
        (MixesUp, "mixes up who is who"),
        (Eternal, "a token at or past its end is accepted"),
        (SaysOther, "refused as inactive, must be expired"),
        (Shows, "the error shows the token"),
        (Blames, "no fault of the issuer's"),
        (Crashes, "makes it raise UnicodeEncodeError"),
        (Believes, "a damaged token is accepted"),
    ],
)
async def test_each_break_of_a_verifiers_contract_is_found(entry: Any, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        await check(entry)


class Source:
    """Does everything right."""

    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)
        self.asked = 0

    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        return Granted(roles=("trader",)) if principal == ALICE else Granted()


class AsyncSource(Source):
    async def roles(  # type: ignore[override]
        self, principal: Principal, *, now: datetime
    ) -> Granted:
        await anyio.lowlevel.checkpoint()
        if principal != ALICE:
            raise TokenRejected(Refusal.NOROLES, "a stranger")
        return Granted(roles=("trader",))


@pytest.mark.parametrize("entry", [Source, AsyncSource])
async def test_a_role_source_that_keeps_its_contract_passes(entry: Any) -> None:
    await check_role_source(entry, {"word": "x"}, principal=ALICE)


class NoRoles(Plain):
    pass


class WrongAnswer(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Any:
        return ["trader"]


class Nothing(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        return Granted()


class Wavers(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        self.asked += 1
        return Granted(roles=(f"trader{self.asked}",))


class Injected(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        if "'" in principal.name:
            raise ValueError("syntax error")
        return super().roles(principal, now=now)


class WrongForStrangers(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Any:
        return super().roles(principal, now=now) if principal == ALICE else None


@pytest.mark.parametrize(
    ("entry", "broken"),
    [
        (NoRoles, "no roles"),
        (WrongAnswer, "does not believe its answer"),
        (Nothing, "grants alice nothing"),
        (Wavers, "does not always say the same"),
        (Injected, '"o\'brien" it raises ValueError'),
        (WrongForStrangers, "does not believe its answer"),
    ],
)
async def test_each_break_of_a_role_sources_contract_is_found(entry: Any, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        await check_role_source(entry, {"word": "x"}, principal=ALICE)
