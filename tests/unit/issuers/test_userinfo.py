from datetime import timedelta

import pytest

from sessiond.api import Verifier
from sessiond.core.claims import ClaimRules
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.issuers.userinfo import UserinfoVerifier
from sessiond.jwt.kind import NO_EXCEPTIONS, KindRules
from tests.unit.issuers.fake import ISSUER, HandClock, IssuerStub
from tests.unit.jwt.forge import T, token

pytestmark = pytest.mark.anyio

OPAQUE = Secret("opaque-access-token-1234")
ALICE = {"sub": "a-1", "preferred_username": "alice@example.com", "roles": ["trader"]}
GRAPH_ERROR = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient"}}


def verifier_of(
    issuer: IssuerStub,
    *,
    audience: tuple[str, ...] = (),
    user_claim: str = "preferred_username",
    subject_claim: str = "sub",
    kind: KindRules = NO_EXCEPTIONS,
) -> UserinfoVerifier:
    issuer.publishes()
    http = issuer.http()
    return UserinfoVerifier(
        http=http,
        discovery=issuer.discovery(http),
        rules=ClaimRules(
            issuer="corp",
            user_claim=user_claim,
            subject_claim=subject_claim,
            lease=timedelta(hours=1),
            roles_claim=("roles",),
            roles={"trader": "trader"},
        ),
        audience=audience,
        kind=kind,
        leeway=timedelta(seconds=30),
    )


async def refusal(verifier: Verifier, token: Secret, clock: HandClock) -> Refusal:
    with pytest.raises(TokenRejected) as raised:
        await verifier.verify(token, now=clock.now())
    return raised.value.reason


async def test_the_user_of_a_token_is_a_verdict(issuer: IssuerStub, clock: HandClock) -> None:
    issuer.says("/userinfo", ALICE)
    part: Verifier = verifier_of(issuer)
    assert part.is_online
    assert part.needs_call(OPAQUE)
    verdict = await part.verify(OPAQUE, now=clock.now(), expires_in=90.0)
    assert verdict.principal == Principal(issuer="corp", subject="a-1", name="alice@example.com")
    assert verdict.lease.expires_at == clock.now() + timedelta(seconds=90)
    assert verdict.roles == ("trader",)
    assert (verdict.stated_iat, part.still_valid(verdict)) == (None, True)


async def test_the_token_is_shown_as_a_bearer(issuer: IssuerStub, clock: HandClock) -> None:
    issuer.says("/userinfo", ALICE)
    await verifier_of(issuer).verify(OPAQUE, now=clock.now())
    request = issuer.requests[-1]
    assert (request.method, str(request.url)) == ("GET", f"{ISSUER}userinfo")
    assert request.headers["authorization"] == f"Bearer {OPAQUE.reveal()}"


async def test_graph_says_who_it_is_in_its_own_words(issuer: IssuerStub, clock: HandClock) -> None:
    issuer.says("/userinfo", {"id": "oid-1", "userPrincipalName": "Alice@example.com"})
    part = verifier_of(issuer, user_claim="userPrincipalName", subject_claim="id")
    of_graph = token({"aud": "https://graph.microsoft.com"}, header={"nonce": "n", "typ": "JWT"})
    verdict = await part.verify(of_graph, now=clock.now())
    assert verdict.principal == Principal(issuer="corp", subject="oid-1", name="Alice@example.com")


async def test_a_jwts_own_times_count(issuer: IssuerStub, clock: HandClock) -> None:
    issuer.says("/userinfo", ALICE)
    part = verifier_of(issuer)
    verdict = await part.verify(
        token({"iat": T - 30, "exp": T + 60}), now=clock.now(), expires_in=3600.0
    )
    assert verdict.lease.expires_at == clock.now() + timedelta(seconds=60)
    assert verdict.stated_iat == clock.now() - timedelta(seconds=30)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": T}, Refusal.EXPIRED),
        ({"iat": T + 31}, Refusal.NOTYET),
        ({"exp": True}, Refusal.MALFORMED),
        ({"idtyp": "app"}, Refusal.WRONGTYPE),
        ({"cnf": {"jkt": "x"}}, Refusal.WRONGTYPE),
        ({"typ": "Refresh"}, Refusal.WRONGTYPE),
        ({"jti": "trrtcc:0b5c", "typ": "Bearer"}, Refusal.WRONGTYPE),
        ({"aud": "api://other"}, Refusal.WRONGAUDIENCE),
    ],
)
async def test_a_jwt_that_is_wrong_by_its_own_word_is_not_even_shown(
    issuer: IssuerStub, clock: HandClock, claims: dict[str, object], reason: Refusal
) -> None:
    issuer.says("/userinfo", ALICE)
    part = verifier_of(issuer, audience=("api://kdb",))
    assert await refusal(part, token(claims), clock) is reason
    assert issuer.requests == []


@pytest.mark.parametrize("presented", [OPAQUE, token({"azp": "batch", "typ": "Bearer"})])
async def test_a_service_account_is_refused_unless_its_client_is_named(
    issuer: IssuerStub, clock: HandClock, presented: Secret
) -> None:
    """Keycloak answers so where the account has the scope openid."""
    issuer.says("/userinfo", {**ALICE, "preferred_username": "service-account-batch"})
    assert await refusal(verifier_of(issuer), presented, clock) is Refusal.WRONGTYPE
    part = verifier_of(issuer, kind=KindRules(allow_clients=frozenset({"batch"})))
    assert (await part.verify(presented, now=clock.now())).principal.subject == "a-1"


async def test_an_address_that_userinfo_says_is_not_verified_is_no_name(
    issuer: IssuerStub, clock: HandClock
) -> None:
    part = verifier_of(issuer, user_claim="email")
    issuer.says("/userinfo", {"sub": "a-1", "email": "bob@example.com", "email_verified": False})
    assert await refusal(part, OPAQUE, clock) is Refusal.USERMISMATCH
    issuer.says("/userinfo", {"sub": "a-1", "email": "bob@example.com", "email_verified": "true"})
    assert (await part.verify(OPAQUE, now=clock.now())).principal.name == "bob@example.com"


async def test_an_opaque_tokens_audience_is_not_to_be_known(
    issuer: IssuerStub, clock: HandClock
) -> None:
    issuer.says("/userinfo", ALICE)
    part = verifier_of(issuer, audience=("api://kdb",))
    assert (await part.verify(OPAQUE, now=clock.now())).principal.subject == "a-1"


async def test_a_header_cannot_be_smuggled_in(issuer: IssuerStub, clock: HandClock) -> None:
    smuggling = Secret("a" * 20 + "\r\nX-User: bob")
    assert await refusal(verifier_of(issuer), smuggling, clock) is Refusal.MALFORMED
    assert issuer.requests == []


async def test_401_is_inactive(issuer: IssuerStub, clock: HandClock) -> None:
    issuer.says("/userinfo", b"", status=401)
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is Refusal.INACTIVE


@pytest.mark.parametrize(
    ("content", "challenge"),
    [
        (b"", 'Bearer error="insufficient_scope"'),
        ({"error": "insufficient_scope"}, ""),
        (GRAPH_ERROR, ""),
    ],
)
async def test_the_issuers_own_403_is_the_wrong_scope(
    issuer: IssuerStub, clock: HandClock, content: object, challenge: str
) -> None:
    issuer.says("/userinfo", content, status=403, headers={"WWW-Authenticate": challenge})
    assert await refusal(verifier_of(issuer), OPAQUE, clock) is Refusal.WRONGSCOPE


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (403, b"<html>blocked</html>"),
        (404, b""),
        (204, b""),
        (500, ALICE),
        (302, b""),
        (200, b"eyJhbGciOiJSUzI1NiJ9.e30.c2ln"),
        (200, b"<html>"),
    ],
)
async def test_an_answer_that_is_not_about_the_token_is_no_verdict(
    issuer: IssuerStub, clock: HandClock, status: int, content: object
) -> None:
    issuer.says("/userinfo", content, status=status)
    with pytest.raises(IssuerUnavailable):
        await verifier_of(issuer).verify(OPAQUE, now=clock.now())


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "inactive"), (413, "toolarge"), (414, "toolarge"), (431, "toolarge")],
)
async def test_what_a_server_answers_to_an_odd_token_is_about_the_token(
    issuer: IssuerStub, clock: HandClock, status: int, reason: str
) -> None:
    """Otherwise anybody who can type a password could open the issuer's breaker."""
    issuer.says("/userinfo", b"<html>Request Header Or Cookie Too Large</html>", status=status)
    with pytest.raises(TokenRejected) as raised:
        await verifier_of(issuer).verify(OPAQUE, now=clock.now())
    assert raised.value.reason == reason


async def test_graphs_throttling_is_obeyed(issuer: IssuerStub, clock: HandClock) -> None:
    issuer.says("/userinfo", {}, status=429, headers={"Retry-After": "13"})
    with pytest.raises(IssuerThrottled) as raised:
        await verifier_of(issuer).verify(OPAQUE, now=clock.now())
    assert raised.value.retry_after == 13.0


@pytest.mark.parametrize("status", [401, 403])
async def test_a_trial_call_expects_a_made_up_token_to_be_refused(
    issuer: IssuerStub, status: int
) -> None:
    issuer.says("/userinfo", {}, status=status)
    await verifier_of(issuer).probe()
    assert issuer.asked("/userinfo") == 1


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_an_issuer_that_does_not_refuse_it_is_not_well(
    issuer: IssuerStub, status: int
) -> None:
    issuer.says("/userinfo", ALICE, status=status)
    with pytest.raises(IssuerUnavailable):
        await verifier_of(issuer).probe()
