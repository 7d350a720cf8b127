from collections.abc import Mapping
from datetime import timedelta

import anyio
import anyio.lowlevel
import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey

from sessiond.api import Verifier
from sessiond.core.claims import ClaimRules
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected, UnusableAnswer
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.issuers.cached_document import MAX_STALE, RETRY_AFTER
from sessiond.issuers.jwt import JwtVerifier
from sessiond.issuers.keys import FETCH_EVERY, Keys
from sessiond.issuers.missed_keys import ANSWERED_FOR, AT_ONCE, EVERY
from sessiond.jwt import signature
from sessiond.jwt.access import TokenRules
from sessiond.jwt.header import JudgedHeader
from sessiond.jwt.keyset import VerificationKey, verification_key
from tests.unit.issuers.fake import HandClock, IssuerStub
from tests.unit.jwt.forge import (
    CLAIMS,
    HEADER,
    ISSUER,
    OTHER_RSA,
    RSA,
    b64,
    jwk,
    signed,
    token,
    without,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def verifier(issuer: IssuerStub) -> JwtVerifier:
    return verifier_of(issuer)


def verifier_of(issuer: IssuerStub) -> JwtVerifier:
    issuer.publishes()
    publish(issuer, jwk(RSA, kid="rsa"))
    http = issuer.http()
    keys = Keys(http=http, discovery=issuer.discovery(http), clock=issuer.clock, name="corp")
    return JwtVerifier(
        keys=keys,
        tokens=TokenRules(
            issuers=frozenset({ISSUER}),
            audience=frozenset({"api://kdb"}),
            algorithms=frozenset({"RS256"}),
            types=frozenset({"at+jwt"}),
            leeway=timedelta(seconds=30),
        ),
        claims=ClaimRules(
            issuer="corp",
            user_claim="preferred_username",
            subject_claim="sub",
            lease=timedelta(hours=1),
        ),
    )


def publish(issuer: IssuerStub, *jwks: object) -> None:
    issuer.says("/keys", {"keys": list(jwks)})


def of_new_key() -> Secret:
    return token(header={"kid": "new"}, key=OTHER_RSA)


async def test_a_signed_token_is_a_verdict(verifier: JwtVerifier, clock: HandClock) -> None:
    part: Verifier = verifier
    verdict = await part.verify(token(), now=clock.now(), expires_in=60.0)
    assert verdict.principal == Principal(issuer="corp", subject="a-1", name="alice@example.com")
    assert verdict.lease.expires_at == clock.now() + timedelta(seconds=60)
    assert verdict.stated_iat == clock.now()
    assert verdict.key_id == RSA.thumbprint()
    assert not part.is_online


async def test_a_token_costs_no_call_once_the_keys_are_here(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    assert verifier.needs_call(token())
    for _ in range(3):
        await verifier.verify(token(), now=clock.now())
    assert not verifier.needs_call(token())
    assert issuer.asked("/keys") == 1


def now_reason(verifier: JwtVerifier, presented: Secret, clock: HandClock) -> str:
    """Return what comes of a token without waiting."""
    try:
        said = verifier.verify_now(presented, now=clock.now(), generation=3)
    except TokenRejected as rejected:
        return rejected.reason.value
    except UnusableAnswer:
        return "unavailable"
    assert said is None or said.generation == 3
    return "has to wait" if said is None else "accepted"


async def test_what_the_keys_at_hand_show_is_said_without_waiting(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    assert now_reason(verifier, token(), clock) == "has to wait"
    await verifier.probe()
    assert now_reason(verifier, token(), clock) == "accepted"
    assert now_reason(verifier, token({"aud": "api://other"}), clock) == "wrongaudience"
    assert now_reason(verifier, token(key=OTHER_RSA), clock) == "badsignature"
    assert now_reason(verifier, Secret("opaque"), clock) == "malformed"
    assert issuer.asked("/keys") == 1
    clock.pass_(MAX_STALE + 1)
    assert now_reason(verifier, token({"exp": 4e9}), clock) == "has to wait"


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_key_that_is_not_at_hand_has_to_be_waited_for_where_a_fetch_is_to_be_had(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock, is_named: bool
) -> None:
    def forged(number: int) -> Secret:
        return made_up(number) if is_named else unnamed(number)

    await verifier.probe()
    assert now_reason(verifier, forged(0), clock) == "has to wait"
    assert await reason(verifier, forged(0), clock) == "badsignature"
    assert now_reason(verifier, forged(0), clock) == "badsignature"  # it was fetched for this one
    for number in range(1, AT_ONCE):
        assert now_reason(verifier, forged(number), clock) == "has to wait"
        assert await reason(verifier, forged(number), clock) == "badsignature"
    assert now_reason(verifier, forged(AT_ONCE), clock) == "unavailable"
    assert issuer.asked("/keys") == 1 + AT_ONCE
    assert now_reason(verifier, token(), clock) == "accepted"


async def test_a_look_that_named_nobody_is_not_repeated_when_the_keys_are_fetched(
    verifier: JwtVerifier, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = signature._is_signed, list[str]()

    def counted(content: bytes, octets: bytes, header: JudgedHeader, key: VerificationKey) -> bool:
        looks.append(key.id)
        return real(content, octets, header, key)

    await verifier.probe()
    monkeypatch.setattr(signature, "_is_signed", counted)
    assert now_reason(verifier, unnamed(), clock) == "has to wait"
    assert verifier.needs_call(unnamed())
    assert len(looks) == 1


async def test_other_keys_have_headers_judged_anew(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    assert now_reason(verifier, token(), clock) == "accepted"
    publish(issuer, jwk(OTHER_RSA, kid="rsa"))
    await verifier.probe()
    assert now_reason(verifier, token(), clock) == "badsignature"
    assert now_reason(verifier, token(key=OTHER_RSA), clock) == "accepted"


async def test_a_wrong_token_is_rejected_for_its_own_reason(
    verifier: JwtVerifier, clock: HandClock
) -> None:
    with pytest.raises(TokenRejected) as raised:
        await verifier.verify(token({"aud": "api://other"}), now=clock.now())
    assert raised.value.reason is Refusal.WRONGAUDIENCE


async def test_a_refusal_for_an_unknown_key_says_which_there_are(
    verifier: JwtVerifier, clock: HandClock
) -> None:
    with pytest.raises(TokenRejected) as raised:
        await verifier.verify(of_new_key(), now=clock.now())
    said = raised.value.detail
    assert said.startswith('kid is "new", wanted one of the issuer\'s, "rsa": ')


async def test_a_trial_call_says_where_no_key_is_for_what_is_allowed(
    verifier: JwtVerifier, issuer: IssuerStub
) -> None:
    publish(issuer, jwk(ECKey.generate_key("P-384"), kid="ec"), jwk(RSA, kid="r", alg="PS256"))
    with pytest.raises(UnusableAnswer, match="keys are for ES384, PS256, wanted RS256: mend"):
        await verifier.probe()
    publish(issuer, jwk(RSA, kid="rsa"))
    await verifier.probe()


async def test_a_token_of_a_new_key_has_the_keys_fetched_again(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    publish(issuer, jwk(RSA, kid="rsa"), jwk(OTHER_RSA, kid="new"))
    assert verifier.needs_call(of_new_key())
    verdict = await verifier.verify(of_new_key(), now=clock.now())
    assert (verdict.key_id, issuer.asked("/keys")) == (OTHER_RSA.thumbprint(), 2)
    assert not verifier.needs_call(of_new_key())


async def test_between_two_keys_of_a_set_others_have_their_turn(
    verifier: JwtVerifier, issuer: IssuerStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(issuer, *[jwk(RSA, kid=f"{number}") for number in range(20)])
    turns, turn_of = 0, []

    def read(jwk: Mapping[str, object]) -> VerificationKey | None:
        turn_of.append(turns)
        return verification_key(jwk)

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    monkeypatch.setattr("sessiond.issuers.keys.verification_key", read)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count_turns)
        await verifier.probe()
        tasks.cancel_scope.cancel()
    assert len(set(turn_of)) == len(turn_of) == 20


async def test_of_a_named_key_it_is_told_without_a_look_at_the_signature_if_it_must_be_fetched(
    verifier: JwtVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verifier.probe()
    monkeypatch.setattr("sessiond.jwt.signature._is_signed", None)
    assert verifier.needs_call(of_new_key())
    assert not verifier.needs_call(token())
    assert not verifier.needs_call(token(key=OTHER_RSA))


def unnamed(subject: object = "a-1", *, key: RSAKey = OTHER_RSA) -> Secret:
    """Return a token whose header names no key."""
    return signed(without(HEADER, "kid"), {**CLAIMS, "sub": f"{subject}"}, key)


async def test_a_token_of_a_new_key_that_it_does_not_name_has_the_keys_fetched_again(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    publish(issuer, jwk(RSA, kid="rsa"), jwk(OTHER_RSA, kid="new"))
    assert not verifier.needs_call(unnamed(key=RSA))
    assert verifier.needs_call(unnamed())
    verdict = await verifier.verify(unnamed(), now=clock.now())
    assert (verdict.key_id, issuer.asked("/keys")) == (OTHER_RSA.thumbprint(), 2)
    assert not verifier.needs_call(unnamed())


async def test_a_kid_that_comes_to_name_a_key_of_another_type_has_the_keys_fetched_again(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    publish(issuer, jwk(ECKey.generate_key("P-256"), kid="rsa"), jwk(OTHER_RSA, kid="other"))
    await verifier.probe()
    publish(issuer, jwk(RSA, kid="rsa"))
    assert await reason(verifier, token(), clock) == "accepted"


async def test_forged_tokens_that_name_no_key_cost_few_fetches_and_no_verdict_but_those(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    for _ in range(3):  # as kdb+ tries again
        assert await reason(verifier, unnamed(0), clock) == "badsignature"
    said = [await reason(verifier, unnamed(number), clock) for number in range(1, 10)]
    assert said == ["badsignature"] * (AT_ONCE - 1) + ["unavailable"] * (10 - AT_ONCE)
    assert issuer.asked("/keys") == 1 + AT_ONCE
    assert not verifier.needs_call(unnamed("another"))
    assert await reason(verifier, unnamed(key=RSA), clock) == "accepted"


async def test_a_new_key_that_is_not_named_is_known_soon_however_many_are_forged(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    forger, waited = RSAKey.generate_key(2048), 0.0
    await verifier.probe()
    for number in range(20):
        await reason(verifier, unnamed(number, key=forger), clock)
    publish(issuer, jwk(RSA, kid="rsa"), jwk(OTHER_RSA, kid="new"))
    while (said := await reason(verifier, unnamed(), clock)) != "accepted":
        assert said == "unavailable"
        await reason(verifier, unnamed(waited, key=forger), clock)
        clock.pass_(0.5)
        waited += 0.5
    assert waited <= EVERY + 0.5


async def test_however_often_it_is_asked_about_a_token_its_signature_is_looked_at_once(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = signature._is_signed, list[str]()

    def counted(content: bytes, octets: bytes, header: JudgedHeader, key: VerificationKey) -> bool:
        looks.append(key.id)
        return real(content, octets, header, key)

    publish(issuer, *[jwk(RSAKey.generate_key(2048)) for _ in range(3)], jwk(RSA), jwk(OTHER_RSA))
    await verifier.probe()
    monkeypatch.setattr(signature, "_is_signed", counted)
    mine, forged = unnamed(key=RSA), unnamed()
    for _ in range(3):
        assert not verifier.needs_call(mine)
    assert len(looks) == 4  # the fifth key is not tried
    await verifier.verify(mine, now=clock.now())
    assert looks[4:] == [RSA.thumbprint()]
    issuer.says("/keys", {}, status=503)
    for _ in range(AT_ONCE):
        looks.clear()
        assert verifier.needs_call(forged)
        with pytest.raises(IssuerUnavailable, match="503"):
            await verifier.verify(forged, now=clock.now())
        assert len(looks) == 4
    looks.clear()
    assert not verifier.needs_call(forged)
    assert looks == []  # where no fetch is to be had, nothing is looked for


@pytest.mark.parametrize("is_named", [True, False])
async def test_fifty_tokens_of_a_new_key_cost_one_fetch(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock, is_named: bool
) -> None:
    await verifier.probe()
    open_ = anyio.Event()
    content = {"keys": [jwk(OTHER_RSA, kid="new")]}

    async def slow(_: httpx.Request) -> httpx.Response:
        await open_.wait()
        return httpx.Response(200, json=content)

    issuer.on("/keys", slow)
    accepted = 0

    async def verify(number: int) -> None:
        nonlocal accepted
        fresh = of_new_key() if is_named else unnamed(number)
        assert verifier.needs_call(fresh)
        await verifier.verify(fresh, now=clock.now())
        accepted += 1

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(verify, number)
        await anyio.wait_all_tasks_blocked()
        open_.set()
    assert (accepted, issuer.asked("/keys")) == (50, 2)


def made_up(name: object) -> Secret:
    return token(header={"kid": f"made-up-{name}"}, key=OTHER_RSA)


async def reason(verifier: JwtVerifier, forged: Secret, clock: HandClock) -> str:
    """Return what a token comes to, "unavailable" where nobody was asked about its key."""
    try:
        await verifier.verify(forged, now=clock.now())
    except TokenRejected as rejected:
        return rejected.reason.value
    except UnusableAnswer as unusable:
        return "unavailable" if 0 < unusable.retry_after <= EVERY else "too long"
    return "accepted"


async def test_a_key_that_nobody_was_asked_about_is_no_verdict(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    said = [await reason(verifier, made_up(number), clock) for number in range(10)]
    assert said == ["badsignature"] * AT_ONCE + ["unavailable"] * (10 - AT_ONCE)
    assert issuer.asked("/keys") == 1 + AT_ONCE
    assert not verifier.needs_call(made_up("another"))
    clock.pass_(EVERY)
    assert verifier.needs_call(made_up("another"))
    assert await reason(verifier, made_up("another"), clock) == "badsignature"


async def test_a_key_that_was_looked_for_in_vain_costs_no_second_fetch_for_a_while(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    for _ in range(20):
        assert await reason(verifier, made_up("one"), clock) == "badsignature"
        assert not verifier.needs_call(made_up("one"))
    assert issuer.asked("/keys") == 2
    clock.pass_(ANSWERED_FOR)
    assert verifier.needs_call(made_up("one"))


async def test_a_real_new_key_is_known_soon_however_many_are_made_up(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    for number in range(600):  # ten a second
        await reason(verifier, made_up(number), clock)
        clock.pass_(0.1)
    publish(issuer, jwk(RSA, kid="rsa"), jwk(OTHER_RSA, kid="new"))
    fetched, waited = issuer.asked("/keys"), 0.0
    assert fetched <= 1 + AT_ONCE + 60 / EVERY
    while await reason(verifier, of_new_key(), clock) != "accepted":
        await reason(verifier, made_up(f"later-{waited}"), clock)
        clock.pass_(0.1)
        waited += 0.1
    assert waited <= EVERY + 0.1


async def test_two_changes_of_keys_in_a_row_are_both_seen_at_once(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    await reason(verifier, made_up(1), clock)
    for kid in ("new", "newer"):
        publish(issuer, jwk(OTHER_RSA, kid=kid))
        fresh = token(header={"kid": kid}, key=OTHER_RSA)
        assert await reason(verifier, fresh, clock) == "accepted"


async def test_while_the_keys_cannot_be_fetched_unknown_ones_are_no_verdict(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    issuer.says("/keys", {}, status=503)
    for _ in range(AT_ONCE):
        with pytest.raises(IssuerUnavailable, match="503"):
            await verifier.verify(made_up("one"), now=clock.now())
    with pytest.raises(
        UnusableAnswer, match=r"503, wanted 200: .*; the key set is fetched again in 5 s"
    ):
        await verifier.verify(made_up("one"), now=clock.now())
    assert issuer.asked("/keys") == 1 + AT_ONCE
    assert await reason(verifier, token(), clock) == "accepted"


@pytest.mark.parametrize(
    "forged",
    [
        token(header={"alg": "none", "kid": "new"}),
        token(header={"alg": "HS256", "kid": "new"}),
        token(header={"typ": "JWT", "kid": "new"}),
        token(header={"crit": ["exp"], "kid": "new"}, key=OTHER_RSA),
        token(header={"nonce": "of-graph", "kid": "new"}),
        Secret("eyJ!.a.b"),
        Secret("no-token"),
        Secret(f"{b64('[1]')}.a.b"),
    ],
)
async def test_a_header_that_is_out_of_order_is_worth_no_fetch(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock, forged: Secret
) -> None:
    await verifier.probe()
    assert not verifier.needs_call(forged)
    with pytest.raises(TokenRejected):
        await verifier.verify(forged, now=clock.now())
    assert issuer.asked("/keys") == 1


async def test_without_keys_there_is_no_verdict(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    issuer.says("/keys", {}, status=503)
    with pytest.raises(IssuerUnavailable):
        await verifier.verify(token(), now=clock.now())
    with pytest.raises(IssuerUnavailable):
        await verifier.probe()


async def test_a_key_set_that_is_not_there_is_unavailable(
    verifier: JwtVerifier, issuer: IssuerStub
) -> None:
    issuer.says("/keys", {}, status=404)
    with pytest.raises(IssuerUnavailable, match="404"):
        await verifier.probe()


async def test_known_keys_serve_for_a_day_without_their_issuer(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    await verifier.probe()
    issuer.says("/keys", {}, status=503)
    lasting = token({"exp": 2 * clock.now().timestamp()})
    clock.pass_(MAX_STALE - 1)
    assert not verifier.needs_call(lasting)
    assert (await verifier.verify(lasting, now=clock.now())).key_id == RSA.thumbprint()
    clock.pass_(1)
    assert verifier.needs_call(lasting)
    with pytest.raises(IssuerUnavailable):
        await verifier.verify(lasting, now=clock.now())


async def test_a_verdict_falls_with_the_key_that_signed_it(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    verdict = await verifier.verify(token(), now=clock.now())
    assert verifier.still_valid(verdict)
    publish(issuer, jwk(OTHER_RSA, kid="new"))
    await verifier.probe()
    assert not verifier.still_valid(verdict)
    with pytest.raises(TokenRejected):
        await verifier.verify(token(), now=clock.now())


async def test_a_verdict_of_another_configuration_is_not_vouched_for(
    verifier: JwtVerifier, issuer: IssuerStub, clock: HandClock
) -> None:
    verdict = await verifier.verify(token(), now=clock.now())
    http = issuer.http()
    keys = Keys(http=http, discovery=issuer.discovery(http), clock=clock, name="corp")
    assert not keys.holds(verdict.key_id or "")


async def test_keys_are_fetched_by_themselves_and_sooner_after_a_failure(
    issuer: IssuerStub, verifier: JwtVerifier, clock: HandClock
) -> None:
    answers = iter([503, 200, 503, 200])
    done = anyio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        status = next(answers, None)
        if status is None:
            done.set()
            await anyio.sleep_forever()
        return httpx.Response(status or 200, json={"keys": [jwk(RSA, kid="rsa")]})

    issuer.on("/keys", answer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(verifier.run)
        await done.wait()
        tasks.cancel_scope.cancel()
    assert clock.slept == [RETRY_AFTER, FETCH_EVERY, RETRY_AFTER, FETCH_EVERY]
    assert not verifier.needs_call(token())
