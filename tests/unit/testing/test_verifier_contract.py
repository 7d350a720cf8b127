"""What keeps the contract of a verifier passes, and each break of it is found."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest
from msgspec import Struct

from sessiond.api import (
    IssuerAbout,
    IssuerUnavailable,
    Principal,
    Refusal,
    Secret,
    TokenRejected,
    Verdict,
    settings_of,
)
from sessiond.testing import START, check_verifier, issuer_about

pytestmark = pytest.mark.anyio

ABOUT = issuer_about()


class Settings(Struct, frozen=True, kw_only=True):
    word: str
    number: int = 1


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

    is_online = False

    def __init__(self, *, issuer: IssuerAbout, **keys: Any) -> None:
        settings_of(Settings, keys)
        self.issuer = issuer

    def needs_call(self, token: Secret) -> bool:
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
        claims: Mapping[str, object] = json.loads(urlsafe_b64decode(text))
        return self.issuer.verdict(claims, now=now)

    def still_valid(self, verdict: Verdict) -> bool:
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
    def still_valid(self, verdict: Verdict) -> bool:
        return False


class Undecided(Verifier):
    def needs_call(self, token: Secret) -> Any:
        return None


class AsksSecretly(Verifier):
    is_online = True


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
        (Incomplete, "the verifier has no is_online, needs_call"),
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
