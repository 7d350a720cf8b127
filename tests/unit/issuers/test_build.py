import json
from base64 import b64decode

import anyio
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from sessiond.config import IssuerConfig, WebClientConfig
from sessiond.core.errors import (
    ConfigError,
    RefreshRefused,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.secret import Secret
from sessiond.issuers.build import Issuer, RefreshLimits, build_issuer
from sessiond.issuers.entra import EntraTokens
from sessiond.issuers.introspection import IntrospectionVerifier
from sessiond.issuers.jwt import JwtVerifier
from sessiond.issuers.our_clients import ClientSecrets
from sessiond.issuers.token_endpoint import TokenEndpoint
from sessiond.issuers.userinfo import UserinfoVerifier
from sessiond.web.web_client import AuthorizationRequest
from tests.unit.issuers.fake import ISSUER, METADATA, TLS, IssuerStub, form_of
from tests.unit.jwt.forge import CLAIMS, EC, RSA, jwk, token

pytestmark = pytest.mark.anyio


def built(
    issuer: IssuerStub,
    config: IssuerConfig,
    *,
    client_secret: str | None = None,
    refresh_secret: str | None = None,
    web_secret: str | None = None,
) -> Issuer:
    return build_issuer(
        config,
        leeway=30.0,
        refresh=RefreshLimits(timeout=10.0, concurrency=16),
        secrets=ClientSecrets(
            client=None if client_secret is None else Secret(client_secret),
            refresh=None if refresh_secret is None else Secret(refresh_secret),
            web=None if web_secret is None else Secret(web_secret),
        ),
        clock=issuer.clock,
        tls=TLS,
        network=issuer.network,
    )


def of_jwt(**keys: object) -> IssuerConfig:
    given = {"name": "corp", "issuer": ISSUER, "verify": "jwt", "audience": ("api://kdb",)}
    return IssuerConfig(**{**given, **keys})  # type: ignore[arg-type]


async def test_a_jwt_issuer_reads_tokens_as_configured(issuer: IssuerStub) -> None:
    issuer.publishes()
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    parts = built(
        issuer,
        of_jwt(
            also_issued_as=("https://old.example.com/",),
            user_claim="upn",
            subject_claim="oid",
            roles={"kdb.read": "reader"},
            default_roles=("user",),
            attributes={"department": "desk"},
        ),
    )
    assert isinstance(parts.verifier, JwtVerifier)
    verdict = await parts.verifier.verify(
        token(
            {
                "iss": "https://old.example.com/",
                "upn": "alice@corp",
                "oid": "o-1",
                "scp": "kdb.read",
                "department": "rates",
            }
        ),
        now=issuer.clock.now(),
    )
    assert (verdict.principal.issuer, verdict.principal.subject) == ("corp", "o-1")
    assert verdict.principal.name == "alice@corp"
    assert verdict.roles == ("reader", "user")
    assert dict(verdict.attributes) == {"desk": "rates"}
    await parts.close()


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"audience": ("api://other",)}, Refusal.WRONGAUDIENCE),
        ({"algorithms": ("ES256",)}, Refusal.BADSIGNATURE),
        ({"typ": ("JWT",)}, Refusal.WRONGTYPE),
        ({"required_scope": "kdb.read"}, Refusal.WRONGSCOPE),
        ({"kind": "entra"}, Refusal.WRONGTYPE),  # no scp
    ],
)
async def test_each_demand_of_the_table_is_made(
    issuer: IssuerStub, keys: dict[str, object], reason: Refusal
) -> None:
    issuer.publishes()
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    parts = built(issuer, of_jwt(**keys))
    with pytest.raises(TokenRejected) as raised:
        await parts.verifier.verify(token(), now=issuer.clock.now())
    assert raised.value.reason is reason


async def test_introspection_and_userinfo_are_built_as_configured(issuer: IssuerStub) -> None:
    issuer.says("/asked", {"active": False}, status=200)
    asking = built(
        issuer,
        of_jwt(verify="introspection", introspection_endpoint=f"{ISSUER}asked"),
        client_secret="s",
    )
    assert isinstance(asking.verifier, IntrospectionVerifier)
    await asking.verifier.probe()
    issuer.says("/who", {}, status=401)
    looking = built(issuer, of_jwt(verify="userinfo", userinfo_endpoint=f"{ISSUER}who"))
    assert isinstance(looking.verifier, UserinfoVerifier)
    await looking.verifier.probe()
    assert [request.url.path for request in issuer.requests] == ["/asked", "/who"]


@pytest.mark.parametrize("verify", ["jwt", "introspection", "userinfo"])
async def test_what_is_laxer_counts_for_each_way_of_verifying(
    issuer: IssuerStub, verify: str
) -> None:
    issuer.publishes()
    claims: dict[str, object] = {
        **{"aud": [], "client_id": "batch", "sub": "batch", "email": "a@corp", "roles": ["kdb-a"]},
    }
    issuer.says("/keys", {"keys": [jwk(EC, kid="ec")]})
    issuer.says("/introspect", {"active": True, "scope": "kdb", **claims})
    issuer.says("/userinfo", {"sub": "batch", "email": "a@corp", "roles": ["kdb-a"]})
    parts = built(
        issuer,
        of_jwt(
            verify=verify,
            client_auth="post",
            audience=("batch",),
            audience_claim="client_id",
            required_scope="kdb",
            tolerated_claims=("nonce",),
            token_type_optional=True,
            allow_clients=("batch",),
            user_claim="email",
            unverified_email=True,
            role_names=("kdb-*",),
        ),
        client_secret="s",
    )
    presented = token(
        {**claims, "scope": "kdb", "nonce": "n"}, header={"alg": "ES256", "kid": "ec"}, key=EC
    )
    verdict = await parts.verifier.verify(presented, now=issuer.clock.now())
    assert (verdict.principal.name, verdict.roles) == ("a@corp", ("kdb-a",))
    await parts.close()


async def test_without_a_list_every_asymmetric_algorithm_is_good(issuer: IssuerStub) -> None:
    issuer.publishes()
    key = ECKey.generate_key("P-521")
    issuer.says("/keys", {"keys": [jwk(key, kid="k")]})
    parts = built(issuer, of_jwt(algorithms=()))
    header = {"alg": "ES512", "typ": "at+jwt", "kid": "k"}
    text = jws.serialize_compact(header, json.dumps(CLAIMS), key, algorithms=["ES512"])
    verdict = await parts.verifier.verify(Secret(text), now=issuer.clock.now())
    assert verdict.principal.name == "alice@example.com"
    await parts.close()


async def test_a_missing_secret_names_the_issuer(issuer: IssuerStub) -> None:
    with pytest.raises(ConfigError, match=r"issuer\[corp\].*basic"):
        built(issuer, of_jwt(verify="introspection"))


async def test_refresh_tokens_are_spent_as_the_client_they_are_bound_to(
    issuer: IssuerStub,
) -> None:
    issuer.says("/t", {"error": "invalid_grant"}, status=400)
    config = of_jwt(token_endpoint=f"{ISSUER}t", refresh_client_id="qstudio", refresh_scope="a b")
    parts = built(issuer, config)
    assert parts.client_id == "qstudio"
    assert isinstance(parts.tokens, TokenEndpoint)
    with pytest.raises(RefreshRefused, match="invalid_grant"):
        await parts.tokens.refresh(Secret("r"))
    assert form_of(issuer.requests[0]) == {
        "grant_type": "refresh_token",
        "refresh_token": "r",
        "scope": "a b",
        "client_id": "qstudio",
    }


@pytest.mark.parametrize(
    ("method", "in_header"), [("basic", True), ("post", False), ("none", True)]
)
async def test_a_confidential_refresh_client_proves_itself(
    issuer: IssuerStub, method: str, in_header: bool
) -> None:
    issuer.says("/t", {"error": "invalid_grant"}, status=400)
    config = of_jwt(token_endpoint=f"{ISSUER}t", client_auth=method)
    parts = built(issuer, config, refresh_secret="s")
    assert parts.client_id == "sessiond"
    with pytest.raises(RefreshRefused, match="invalid_grant"):
        await parts.tokens.refresh(Secret("r"))
    (request,) = issuer.requests
    assert ("authorization" in request.headers) is in_header
    assert ("client_secret" in form_of(request)) is not in_header


@pytest.mark.parametrize("named", ["", "sessiond"])
@pytest.mark.parametrize(
    ("method", "sent"),
    [("basic", {}), ("post", {"client_id": "sessiond", "client_secret": "s"})],
)
async def test_our_own_client_refreshes_with_its_own_secret(
    issuer: IssuerStub, method: str, sent: dict[str, str], named: str
) -> None:
    issuer.says("/t", {"error": "invalid_grant"}, status=400)
    config = of_jwt(token_endpoint=f"{ISSUER}t", client_auth=method, refresh_client_id=named)
    with pytest.raises(RefreshRefused, match="invalid_grant"):
        await built(issuer, config, client_secret="s").tokens.refresh(Secret("r"))
    (request,) = issuer.requests
    by_header = {"sessiond:s"} if method == "basic" else set()
    header = request.headers.get("authorization", "").removeprefix("Basic ")
    assert {b64decode(each).decode() for each in [header] if each} == by_header
    form = form_of(request)
    assert {key: form[key] for key in form if key.startswith("client")} == sent


async def test_our_own_client_refreshes_with_its_own_key(issuer: IssuerStub) -> None:
    issuer.says("/t", {"error": "invalid_grant"}, status=400)
    config = of_jwt(token_endpoint=f"{ISSUER}t", client_auth="private_key_jwt")
    key = RSA.as_pem(private=True).decode()
    with pytest.raises(RefreshRefused, match="invalid_grant"):
        await built(issuer, config, client_secret=key).tokens.refresh(Secret("r"))
    form = form_of(issuer.requests[0])
    said = jwt.decode(form["client_assertion"], RSA, algorithms=["PS256", "RS256"])
    assert (said.claims["iss"], said.claims["aud"]) == ("sessiond", f"{ISSUER}t")
    assert "client_secret" not in form


async def test_a_refresh_secret_of_its_own_goes_before_and_another_client_gets_none_of_ours(
    issuer: IssuerStub,
) -> None:
    issuer.says("/t", {"error": "invalid_grant"}, status=400)
    own = of_jwt(token_endpoint=f"{ISSUER}t", client_auth="post")
    other = of_jwt(token_endpoint=f"{ISSUER}t", client_auth="post", refresh_client_id="qstudio")
    public = of_jwt(token_endpoint=f"{ISSUER}t", client_auth="none")
    for parts in (
        built(issuer, own, client_secret="s", refresh_secret="t"),
        built(issuer, other, client_secret="s"),
        built(issuer, public, client_secret="s"),
    ):
        with pytest.raises(RefreshRefused):
            await parts.tokens.refresh(Secret("r"))
    sent = [form_of(request).get("client_secret") for request in issuer.requests]
    assert sent == ["t", None, None]
    assert not [each for each in issuer.requests if "authorization" in each.headers]


async def test_entra_refreshes_through_msal(issuer: IssuerStub) -> None:
    config = of_jwt(kind="entra", issuer=f"{ISSUER}tenant/v2.0", refresh_scope="api://kdb/x")
    assert isinstance(built(issuer, config).tokens, EntraTokens)


async def tended(parts: Issuer, issuer: IssuerStub, *, seen_to: list[bool]) -> None:
    """Run an issuer until it has asked so many times whether somebody else sees to it."""
    answers = iter(seen_to)
    async with anyio.create_task_group() as tasks:

        def is_seen_to() -> bool:
            try:
                return next(answers)
            except StopIteration:
                tasks.cancel_scope.cancel()
                return True

        tasks.start_soon(parts.run, issuer.clock, parts.verifier.probe, is_seen_to)


async def test_an_issuer_that_nobody_has_reached_is_tried_until_it_is_known_to_be_well(
    issuer: IssuerStub,
) -> None:
    issuer.publishes()
    await tended(
        built(issuer, of_jwt(verify="userinfo")), issuer, seen_to=[False, False, True, False]
    )
    assert issuer.asked("/userinfo") == 3
    assert set(issuer.clock.slept) == {30.0}


async def test_an_issuer_that_is_asked_each_time_has_its_metadata_fetched_before_any_login(
    issuer: IssuerStub,
) -> None:
    issuer.publishes()
    for verify in ("userinfo", "introspection"):
        config = of_jwt(verify=verify, client_secret_file="x")
        await tended(built(issuer, config, client_secret="x"), issuer, seen_to=[True])
    assert issuer.asked(METADATA) == len(issuer.requests) == 2


@pytest.mark.parametrize("verify", ["jwt", "userinfo"])
async def test_where_browsers_are_sent_is_known_before_any_comes_and_logins_wait_for_nothing_of_it(
    issuer: IssuerStub, verify: str
) -> None:
    issuer.publishes(authorization_endpoint=f"{ISSUER}authorize")
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    parts = built(issuer, of_jwt(verify=verify, web=WebClientConfig(client_id="kdb-web")))
    assert parts.web is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(parts.run, issuer.clock, parts.verifier.probe, lambda: True)
        while parts.web._discovery._metadata.at_hand is None:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    parts.web._discovery._metadata._fetch = None  # type: ignore[assignment]  # not asked again
    asked = AuthorizationRequest(
        redirect_uri="back", state="s", nonce="n", verifier=Secret("verifier")
    )
    assert (await parts.web.authorization_url(asked)).startswith(f"{ISSUER}authorize?")


async def test_a_jwt_issuer_has_its_keys_kept_fresh(issuer: IssuerStub) -> None:
    fetched = anyio.Event()
    issuer.publishes()
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    parts = built(issuer, of_jwt())

    async def watch() -> None:
        while parts.verifier.needs_call(token()):
            await anyio.lowlevel.checkpoint()
        fetched.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(parts.run, issuer.clock, parts.verifier.probe, lambda: True)
        tasks.start_soon(watch)
        await fetched.wait()
        tasks.cancel_scope.cancel()
    assert issuer.asked("/keys") >= 1


async def test_closing_closes_every_connection(issuer: IssuerStub) -> None:
    network = issuer.network
    parts = build_issuer(
        of_jwt(),
        leeway=30.0,
        refresh=RefreshLimits(timeout=10.0, concurrency=16),
        secrets=ClientSecrets(),
        clock=issuer.clock,
        tls=TLS,
        network=network,
    )
    assert len(parts.connections) == 3
    await parts.close()
    assert network.closed == 3


async def test_why_the_keys_were_not_fetched_is_known_until_they_are(issuer: IssuerStub) -> None:
    issuer.publishes()
    parts = built(issuer, of_jwt())
    assert parts.keys_trouble() == ""
    with pytest.raises(UnusableAnswer):
        await parts.verifier.probe()
    assert parts.keys_trouble() == "the key set: 404, wanted 200: see jwks_uri"
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    await parts.verifier.probe()
    assert parts.keys_trouble() == ""
    assert built(issuer, of_jwt(verify="userinfo")).keys_trouble() == ""
