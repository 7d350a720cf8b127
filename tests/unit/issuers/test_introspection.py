from datetime import timedelta

import pytest

from sessiond.api import Verifier
from sessiond.core.claims import ClaimRules
from sessiond.core.errors import (
    ClientRefused,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.introspection import IntrospectionVerifier
from sessiond.jwt.kind import NO_EXCEPTIONS, KindRules
from tests.unit.issuers.fake import ISSUER, HandClock, IssuerStub, form_of
from tests.unit.jwt.forge import T, token, without

pytestmark = pytest.mark.anyio

OPAQUE = Secret("opaque-access-token-1234")
ACTIVE: dict[str, object] = {
    "active": True,
    "token_type": "Bearer",
    "iss": ISSUER,
    "sub": "a-1",
    "username": "alice@example.com",
    "client_id": "qstudio",
    "aud": ["api://kdb"],
    "scope": "openid kdb.read",
    "exp": T + 3600,
    "iat": T,
}


def verifier_of(
    issuer: IssuerStub,
    *,
    audience: tuple[str, ...] = ("api://kdb",),
    required_scope: str = "",
    issued_to: tuple[str, ...] = (),
    audience_claim: str = "aud",
    kind: KindRules = NO_EXCEPTIONS,
    is_type_optional: bool = False,
) -> IntrospectionVerifier:
    issuer.publishes()
    http = issuer.http()
    return IntrospectionVerifier(
        http=http,
        discovery=issuer.discovery(http),
        client=Client(client_id="sessiond", method="post", secret=Secret("s"), clock=issuer.clock),
        rules=ClaimRules(
            issuer="corp",
            user_claim="username",
            subject_claim="sub",
            lease=timedelta(hours=1),
            roles_claim=("scope",),
            roles={"kdb.read": "reader"},
        ),
        issuers=[ISSUER],
        audience=audience,
        required_scope=required_scope,
        issued_to=issued_to,
        audience_claim=audience_claim,
        kind=kind,
        is_type_optional=is_type_optional,
        leeway=timedelta(seconds=30),
    )


def answer(issuer: IssuerStub, content: object, status: int = 200) -> None:
    issuer.says("/introspect", content, status=status)


async def refusal(verifier: Verifier, token: Secret, clock: HandClock) -> Refusal:
    with pytest.raises(TokenRejected) as raised:
        await verifier.verify(token, now=clock.now())
    return raised.value.reason


async def test_an_active_token_is_a_verdict(issuer: IssuerStub, clock: HandClock) -> None:
    answer(issuer, ACTIVE)
    part: Verifier = verifier_of(issuer, required_scope="kdb.read")
    assert part.is_online
    assert part.needs_call(OPAQUE)
    verdict = await part.verify(OPAQUE, now=clock.now())
    assert verdict.principal == Principal(issuer="corp", subject="a-1", name="alice@example.com")
    assert verdict.lease.expires_at == clock.now() + timedelta(hours=1)
    assert verdict.roles == ("reader",)
    assert (verdict.key_id, part.still_valid(verdict)) == (None, True)


async def test_the_token_goes_in_the_form_with_our_credentials(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, ACTIVE)
    await verifier_of(issuer).verify(OPAQUE, now=clock.now())
    request = issuer.requests[-1]
    assert request.method == "POST"
    assert request.url == f"{ISSUER}introspect"
    assert form_of(request) == {
        "token": OPAQUE.reveal(),
        "token_type_hint": "access_token",
        "client_id": "sessiond",
        "client_secret": "s",
    }
    assert request.extensions["is_repeatable"] is True  # asked twice, it is the same answer


@pytest.mark.parametrize("active", [False, "true", 1, None, "false", [True]])
async def test_only_true_itself_is_active(
    issuer: IssuerStub, clock: HandClock, active: object
) -> None:
    answer(issuer, {**ACTIVE, "active": active})
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is Refusal.INACTIVE


async def test_an_answer_that_does_not_say_whether_it_is_active_is_no_verdict(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, without(ACTIVE, "active"))
    with pytest.raises(IssuerUnavailable, match="active"):
        await verifier_of(issuer).verify(OPAQUE, now=clock.now())


@pytest.mark.parametrize("kind", ["refresh_token", "Bearer ", "N_A", "", None, 1])
async def test_a_refresh_token_or_any_other_type_is_the_wrong_one(
    issuer: IssuerStub, clock: HandClock, kind: object
) -> None:
    answer(issuer, {**ACTIVE, "token_type": kind})
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is Refusal.WRONGTYPE


async def test_a_type_that_is_left_out_is_a_refresh_tokens(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, without(ACTIVE, "token_type"))
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is Refusal.WRONGTYPE


@pytest.mark.parametrize("kind", [None, "", "absent"])
async def test_where_the_type_is_optional_silence_is_an_access_tokens(
    issuer: IssuerStub, clock: HandClock, kind: str | None
) -> None:
    """authentik, IdentityServer, Django OAuth Toolkit."""
    part = verifier_of(issuer, required_scope="kdb.read", is_type_optional=True)
    silent = without(ACTIVE, "token_type")
    answer(issuer, silent if kind == "absent" else {**silent, "token_type": kind})
    if kind == "":
        assert await refusal(part, OPAQUE, clock) is Refusal.WRONGTYPE
    else:
        assert (await part.verify(OPAQUE, now=clock.now())).principal.subject == "a-1"


@pytest.mark.parametrize(
    "members",
    [
        {"token_type": "refresh_token"},
        {"token_type": "DPoP"},
        {"typ": "Refresh"},
        {"token_use": "refresh_token"},
        {"at_hash": "mTMYs1zXL4nwAR-ZzpIUJA"},  # authentik
        {"scope": "openid"},
        {"scope": None},
    ],
)
async def test_a_stated_refresh_token_or_one_without_the_scope_is_refused_all_the_same(
    issuer: IssuerStub, clock: HandClock, members: dict[str, object]
) -> None:
    part = verifier_of(issuer, required_scope="kdb.read", is_type_optional=True)
    answer(issuer, {**without(ACTIVE, "token_type"), **members})
    reason = Refusal.WRONGSCOPE if "scope" in members else Refusal.WRONGTYPE
    assert await refusal(part, OPAQUE, clock) is reason


async def test_a_missing_type_says_which_key_it_takes(issuer: IssuerStub, clock: HandClock) -> None:
    answer(issuer, without(ACTIVE, "token_type"))
    with pytest.raises(TokenRejected, match='missing, wanted "Bearer": see token_type_optional'):
        await verifier_of(issuer).verify(OPAQUE, now=clock.now())


KEYCLOAK: dict[str, object] = {  # as its server answered about a service account
    **{"typ": "Bearer", "azp": "batch", "client_id": "batch", "sub": "u-9"},
    **{"username": "service-account-batch", "preferred_username": "service-account-batch"},
}


async def test_a_service_account_is_refused_unless_its_client_is_named(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, {**ACTIVE, **KEYCLOAK})
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is Refusal.WRONGTYPE
    part = verifier_of(issuer, kind=KindRules(allow_clients=frozenset({"batch"})))
    assert (await part.verify(OPAQUE, now=clock.now())).principal.name == "service-account-batch"


async def test_a_token_bound_to_a_key_is_refused_whoever_says_it(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, {**ACTIVE, "cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}})
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is Refusal.WRONGTYPE
    answer(issuer, ACTIVE)
    bound = token({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})
    assert await refusal(verifier_of(issuer), bound, clock) is Refusal.WRONGTYPE
    assert issuer.asked("/introspect") == 1


async def test_another_claim_may_stand_for_the_audience(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, without(ACTIVE, "aud"))
    part = verifier_of(issuer, audience=("qstudio",), audience_claim="client_id")
    assert (await part.verify(OPAQUE, now=clock.now())).principal.subject == "a-1"
    part = verifier_of(issuer, audience=("another",), audience_claim="client_id")
    assert await refusal(part, OPAQUE, clock) is Refusal.WRONGAUDIENCE


@pytest.mark.parametrize("kind", ["bearer", "BEARER", "Bearer", "access_token"])
async def test_an_access_token_may_be_called_so_or_bearer_in_any_case(
    issuer: IssuerStub, clock: HandClock, kind: str
) -> None:
    answer(issuer, {**ACTIVE, "token_type": kind})
    assert (await verifier_of(issuer).verify(OPAQUE, now=clock.now())).principal.subject == "a-1"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"iss": "https://other.example.com/"}, Refusal.WRONGISSUER),
        ({"iss": None}, Refusal.WRONGISSUER),
        ({"aud": "api://other"}, Refusal.WRONGAUDIENCE),
        ({"aud": []}, Refusal.WRONGAUDIENCE),
        ({"aud": {"api://kdb": 1}}, Refusal.MALFORMED),
        ({"scope": "openid"}, Refusal.WRONGSCOPE),
        ({"scope": "kdb.reader"}, Refusal.WRONGSCOPE),
        ({"exp": T}, Refusal.EXPIRED),
        ({"exp": str(T + 3600)}, Refusal.MALFORMED),
        ({"nbf": T + 31}, Refusal.NOTYET),
        ({"iat": T + 31}, Refusal.NOTYET),
        ({"username": None}, Refusal.MALFORMED),
        ({"username": "аlice@example.com"}, Refusal.MALFORMED),
        ({"sub": ""}, Refusal.MALFORMED),
        ({"idtyp": "app"}, Refusal.WRONGTYPE),
        ({"sub": "qstudio"}, Refusal.WRONGTYPE),
    ],
)
async def test_what_the_answer_states_is_checked(
    issuer: IssuerStub, clock: HandClock, members: dict[str, object], reason: Refusal
) -> None:
    answer(issuer, {**ACTIVE, **members})
    part = verifier_of(issuer, required_scope="kdb.read")
    assert await refusal(part, OPAQUE, clock) is reason


@pytest.mark.parametrize(
    ("name", "reason"), [("aud", Refusal.WRONGAUDIENCE), ("scope", Refusal.WRONGSCOPE)]
)
async def test_what_is_demanded_cannot_be_left_out(
    issuer: IssuerStub, clock: HandClock, name: str, reason: Refusal
) -> None:
    answer(issuer, without(ACTIVE, name))
    part = verifier_of(issuer, required_scope="kdb.read")
    assert await refusal(part, OPAQUE, clock) is reason


async def test_what_is_not_demanded_may_be_left_out(issuer: IssuerStub, clock: HandClock) -> None:
    answer(issuer, without(ACTIVE, "iss", "aud", "scope", "exp", "iat", "client_id"))
    verdict = await verifier_of(issuer, audience=()).verify(OPAQUE, now=clock.now())
    assert verdict.lease.expires_at == clock.now() + timedelta(hours=1)  # the rules' own


async def test_without_an_audience_a_token_issued_to_another_client_is_refused(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, {**ACTIVE, "client_id": "another"})
    part = verifier_of(issuer, audience=(), issued_to=("qstudio", "kdb-web"))
    assert await refusal(part, OPAQUE, clock) is Refusal.WRONGAUDIENCE
    for ours in ("qstudio", "kdb-web"):
        answer(issuer, {**ACTIVE, "client_id": ours})
        assert (await part.verify(OPAQUE, now=clock.now())).principal.subject == "a-1"


async def test_an_answer_that_does_not_name_its_client_is_nobodys_proof_of_ours(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, without(ACTIVE, "client_id"))
    part = verifier_of(issuer, audience=(), issued_to=("qstudio", "kdb-web"))
    assert await refusal(part, OPAQUE, clock) is Refusal.WRONGAUDIENCE


async def test_with_an_audience_any_client_may_have_asked_for_the_token(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, {**ACTIVE, "client_id": "another"})
    part = verifier_of(issuer, issued_to=("qstudio", "kdb-web"))
    assert (await part.verify(OPAQUE, now=clock.now())).principal.subject == "a-1"


async def test_a_jwts_own_end_counts_where_it_is_earlier(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, ACTIVE)
    verdict = await verifier_of(issuer).verify(token({"exp": T + 60}), now=clock.now())
    assert verdict.lease.expires_at == clock.now() + timedelta(seconds=60)


async def test_a_jwts_own_begin_is_what_revocations_judge(
    issuer: IssuerStub, clock: HandClock
) -> None:
    answer(issuer, without(ACTIVE, "iat"))
    verdict = await verifier_of(issuer).verify(token({"iat": T - 900}), now=clock.now())
    assert verdict.stated_iat == clock.now() - timedelta(seconds=900)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": T}, Refusal.EXPIRED),
        ({"exp": "soon"}, Refusal.MALFORMED),
        ({"idtyp": "app"}, Refusal.WRONGTYPE),
    ],
)
async def test_a_jwt_that_is_wrong_by_its_own_word_is_not_even_asked_about(
    issuer: IssuerStub, clock: HandClock, claims: dict[str, object], reason: Refusal
) -> None:
    assert await refusal(verifier_of(issuer), token(claims), clock) is reason
    assert issuer.requests == []


@pytest.mark.parametrize("text", ["has blank", "é" * 20, "a\r\nX: y", "", "x" * 32769])
async def test_what_no_request_can_carry_is_malformed(
    issuer: IssuerStub, clock: HandClock, text: str
) -> None:
    assert await refusal(verifier_of(issuer), Secret(text), clock) is Refusal.MALFORMED
    assert issuer.requests == []


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (401, {"error": "invalid_client"}),
        (403, {}),
        (404, {}),
        (400, {"error": "invalid_request"}),
        (400, {"error": ["invalid_token"]}),
        (201, ACTIVE),
        (500, ACTIVE),
        (302, ACTIVE),
    ],
)
async def test_an_answer_that_is_not_about_the_token_is_no_verdict(
    issuer: IssuerStub, clock: HandClock, status: int, content: dict[str, object]
) -> None:
    answer(issuer, content, status)
    with pytest.raises(IssuerUnavailable):
        await verifier_of(issuer).verify(OPAQUE, now=clock.now())


@pytest.mark.parametrize(
    ("error", "reason"),
    [("unsupported_token_type", Refusal.WRONGTYPE), ("invalid_token", Refusal.INACTIVE)],
)
async def test_a_400_about_the_token_is_a_verdict(
    issuer: IssuerStub, clock: HandClock, error: str, reason: Refusal
) -> None:
    answer(issuer, {"error": error}, 400)
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is reason


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({}, 401),
        (b"<html>", 401),
        ({"error": "invalid_client"}, 400),
        ({"error": "unauthorized_client"}, 403),
        ({"error": "invalid_client"}, 401),
    ],
)
async def test_that_our_client_is_refused_is_said_as_such(
    issuer: IssuerStub, clock: HandClock, content: object, status: int
) -> None:
    answer(issuer, content, status)
    for call in (verifier_of(issuer).verify(OPAQUE, now=clock.now()), verifier_of(issuer).probe()):
        with pytest.raises(
            ClientRefused, match="does not take our client, wanted 200: check client_id"
        ):
            await call


@pytest.mark.parametrize(
    ("content", "status"),
    [({}, 403), (b"<html>", 403), ({"error": ["invalid_client"]}, 400), ({}, 404), (b"", 200)],
)
async def test_any_other_answer_is_about_this_token_and_no_verdict(
    issuer: IssuerStub, clock: HandClock, content: object, status: int
) -> None:
    answer(issuer, content, status)
    with pytest.raises(UnusableAnswer) as raised:
        await verifier_of(issuer).verify(OPAQUE, now=clock.now())
    assert not isinstance(raised.value, ClientRefused)


@pytest.mark.parametrize("status", [400, 401])
async def test_a_trial_call_that_is_refused_for_its_made_up_token_is_well(
    issuer: IssuerStub, status: int
) -> None:
    answer(issuer, {"error": "invalid_token"}, status)
    await verifier_of(issuer).probe()


async def test_a_trial_call_expects_a_made_up_token_to_be_inactive(issuer: IssuerStub) -> None:
    answer(issuer, {"active": False})
    part = verifier_of(issuer)
    await part.probe()
    await part.probe()
    one, other = (form_of(r)["token"] for r in issuer.requests if r.url.path == "/introspect")
    assert one != other


@pytest.mark.parametrize("active", [True, "false", 0])
async def test_an_issuer_that_takes_anything_for_active_is_not_well(
    issuer: IssuerStub, active: object
) -> None:
    answer(issuer, {**ACTIVE, "active": active})
    with pytest.raises(IssuerUnavailable):
        await verifier_of(issuer).probe()
