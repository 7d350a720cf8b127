from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.secret import Secret
from sessiond.jwt.access import (
    AccessToken,
    TokenRules,
    check_audience,
    check_issuer,
    check_scope,
    read_access_token,
)
from sessiond.jwt.keyset import KeySet, UnknownKeyError
from sessiond.jwt.kind import KindRules
from tests.unit.jwt.forge import (
    CLAIMS,
    HEADER,
    ISSUER,
    NOW,
    OTHER_RSA,
    RSA,
    T,
    jwk,
    keys,
    signed,
    token,
    without,
)

TENANT = "11111111-2222-3333-4444-555555555555"
V1 = f"https://sts.windows.net/{TENANT}/"
V2 = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"


def rules(**members: Any) -> TokenRules:
    known: dict[str, Any] = {
        "issuers": frozenset({ISSUER}),
        "audience": frozenset({"api://kdb"}),
        "algorithms": frozenset({"RS256", "ES256", "EdDSA", "Ed25519"}),
        "types": frozenset({"at+jwt"}),
        "leeway": timedelta(seconds=30),
    }
    return TokenRules(**known | members)


def entra_rules() -> TokenRules:
    return rules(issuers=frozenset({V1, V2}), types=frozenset({"JWT"}), entra=True)


def entra_token(claims: dict[str, object] | None = None, **header: object) -> Secret:
    usual: dict[str, object] = {
        "iss": V2,
        "tid": TENANT,
        "oid": "o-1",
        "scp": "session.login",
        "ver": "2.0",
    }
    return token({**usual, **(claims or {})}, header={"typ": "JWT", **header})


def read(
    presented: Secret, by: TokenRules | None = None, keyset: KeySet | None = None
) -> AccessToken:
    by = by or rules()
    return read_access_token(presented, by.signers(keyset or keys()), by, now=NOW)


def reason(
    presented: Secret, by: TokenRules | None = None, keyset: KeySet | None = None
) -> Refusal:
    with pytest.raises(TokenRejected) as rejected:
        read(presented, by, keyset)
    return rejected.value.reason


def refusal(check: Callable[[], None]) -> Refusal:
    with pytest.raises(TokenRejected) as rejected:
        check()
    return rejected.value.reason


def test_a_good_access_token_gives_its_claims_times_and_key() -> None:
    read_token = read(token())
    assert read_token.claims == CLAIMS
    assert read_token.times.expires_at == NOW + timedelta(hours=1)
    assert read_token.times.issued_at == NOW
    assert read_token.key_id == RSA.thumbprint()


# The signature comes first


def test_no_claim_is_believed_before_the_signature_holds() -> None:
    assert reason(token({"iss": "https://evil.example.com/", "exp": 0}, key=OTHER_RSA)) == (
        Refusal.BADSIGNATURE
    )


def test_an_unknown_kid_is_told_apart() -> None:
    with pytest.raises(UnknownKeyError):
        read(token(header={"kid": "new"}))


def test_types_may_be_configured_in_any_case_and_with_their_prefix() -> None:
    by = rules(types=frozenset({"application/AT+jwt"}))
    assert read(token(), by).claims == CLAIMS


# The kind


def test_what_an_issuer_puts_into_access_tokens_too_is_tolerated_where_it_is_named() -> None:
    """Dex has at_hash in both, authentik nonce."""
    by = rules(kind=KindRules(tolerated=frozenset({"at_hash"})), required_scope="kdb.login")
    assert read(token({"at_hash": "x", "scope": "kdb.login"}), by).claims["at_hash"] == "x"
    assert reason(token({"at_hash": "x"}), by) == Refusal.WRONGSCOPE  # an id_token
    assert reason(token({"nonce": "x", "scope": "kdb.login"}), by) == Refusal.WRONGTYPE


def test_a_token_that_is_bound_to_a_key_is_refused() -> None:
    """Keycloak's by DPoP, as its server gave it."""
    bound = {"typ": "DPoP", "cnf": {"jkt": "x", "kc-jkt-type": "DPoP"}}
    assert reason(token(bound)) == Refusal.WRONGTYPE


def test_a_named_client_may_come_as_itself_and_is_checked_as_a_user_is() -> None:
    by = rules(kind=KindRules(allow_clients=frozenset({"batch"})))
    claims: dict[str, object] = {"sub": "batch", "client_id": "batch"}
    assert read(token(claims), by).claims["sub"] == "batch"
    assert reason(token({**claims, "aud": "api://other"}), by) == Refusal.WRONGAUDIENCE


@pytest.mark.parametrize("claim", ["nonce", "at_hash", "c_hash", "s_hash"])
def test_an_id_token_is_refused(claim: str) -> None:
    assert reason(token({claim: "x"})) == Refusal.WRONGTYPE


def test_an_id_token_is_refused_by_its_typ() -> None:
    assert reason(token(header={"typ": "JWT"})) == Refusal.WRONGTYPE


def test_a_security_event_or_logout_token_is_refused() -> None:
    event = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
    assert reason(token({"events": {event: {}}})) == Refusal.WRONGTYPE


@pytest.mark.parametrize(
    "claims",
    [
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Offline"},
        {"typ": "Logout"},
        {"token_use": "id"},
        {"token_use": "refresh"},
    ],
)
def test_a_token_that_says_it_is_of_another_kind_is_refused(claims: dict[str, object]) -> None:
    assert reason(token(claims)) == Refusal.WRONGTYPE


@pytest.mark.parametrize("claims", [{"typ": "Bearer"}, {"token_use": "access"}, {"typ": 1}])
def test_a_token_that_says_it_is_an_access_token_is_accepted(claims: dict[str, object]) -> None:
    assert read(token(claims)).claims == {**CLAIMS, **claims}


@pytest.mark.parametrize(
    "claims",
    [
        {"idtyp": "app"},
        {"idtyp": "device"},
        {"idtyp": ["user"]},
        {"sub": "batch", "client_id": "batch"},
    ],
)
def test_an_app_only_token_is_refused(claims: dict[str, object]) -> None:
    assert reason(token(claims)) == Refusal.WRONGTYPE


@pytest.mark.parametrize("claims", [{"idtyp": "user"}, {"client_id": "qstudio"}])
def test_a_users_token_through_a_client_is_accepted(claims: dict[str, object]) -> None:
    assert read(token(claims)).claims == {**CLAIMS, **claims}


# Entra


@pytest.mark.parametrize("issuer", [V1, V2])
def test_entra_tokens_of_both_versions_are_accepted(issuer: str) -> None:
    assert read(entra_token({"iss": issuer}), entra_rules()).claims["iss"] == issuer


def test_an_entra_token_of_another_tenant_is_refused() -> None:
    for other in (V1.replace(TENANT, OTHER_TENANT), V2.replace(TENANT, OTHER_TENANT)):
        assert reason(entra_token({"iss": other, "tid": OTHER_TENANT}), entra_rules()) == (
            Refusal.WRONGISSUER
        )


@pytest.mark.parametrize("scp", ["", " ", None, 7, [], {}])
def test_an_entra_token_without_a_scope_is_refused(scp: object) -> None:
    assert reason(entra_token({"scp": scp}), entra_rules()) == Refusal.WRONGTYPE


def test_an_entra_id_token_for_the_same_app_is_refused() -> None:
    presented = signed({**HEADER, "typ": "JWT"}, {**CLAIMS, "iss": V2, "tid": TENANT, "oid": "o-1"})
    assert reason(presented, entra_rules()) == Refusal.WRONGTYPE


def test_an_entra_app_only_token_is_refused_even_with_a_scope() -> None:
    assert reason(entra_token({"oid": "s-1", "sub": "s-1"}), entra_rules()) == Refusal.WRONGTYPE


def test_a_graph_token_is_refused() -> None:
    presented = entra_token({"aud": "https://graph.microsoft.com", "iss": V1}, nonce="n")
    assert reason(presented, entra_rules()) == Refusal.WRONGTYPE


@pytest.mark.parametrize("stated", [V2, V1, "https://login.microsoftonline.com/{tenantid}/v2.0"])
def test_a_key_of_the_tenant_signs_tokens_of_both_versions(stated: str) -> None:
    keyset = keys(jwk(RSA, kid="rsa", issuer=stated))
    for issuer in (V1, V2):
        assert read(entra_token({"iss": issuer}), entra_rules(), keyset).key_id == RSA.thumbprint()


@pytest.mark.parametrize(
    "stated",
    [
        V2.replace(TENANT, OTHER_TENANT),
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "",
        "https://login.microsoftonline.com/{tenantid}/v1.0",
    ],
)
def test_a_key_of_another_issuer_is_refused_though_the_signature_holds(stated: str) -> None:
    keyset = keys(jwk(RSA, kid="rsa", issuer=stated))
    assert reason(entra_token(), entra_rules(), keyset) == Refusal.WRONGISSUER


@pytest.mark.parametrize("tenant", [None, 7, OTHER_TENANT, f"{TENANT}/v2.0?"])
def test_a_key_for_each_tenant_signs_only_for_the_tokens_own(tenant: object) -> None:
    keyset = keys(jwk(RSA, kid="rsa", issuer="https://login.microsoftonline.com/{tenantid}/v2.0"))
    assert reason(entra_token({"tid": tenant}), entra_rules(), keyset) == Refusal.WRONGISSUER


# iss and aud


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.example.com",
        "https://LOGIN.example.com/",
        "http://login.example.com/",
        "https://login.example.com/ ",
        "",
        None,
        7,
        [ISSUER],
    ],
)
def test_an_issuer_that_is_not_exactly_the_configured_one_is_refused(issuer: object) -> None:
    assert reason(token({"iss": issuer})) == Refusal.WRONGISSUER


def test_a_token_without_an_issuer_is_refused() -> None:
    assert reason(signed(HEADER, without(CLAIMS, "iss"))) == Refusal.WRONGISSUER


def test_an_issuer_is_any_of_those_configured() -> None:
    for issuer in ("https://a.example.com", "https://b.example.com"):
        check_issuer({"iss": issuer}, ("https://a.example.com", "https://b.example.com"))


@pytest.mark.parametrize("audience", ["api://kdb", ["api://kdb"], ["api://other", "api://kdb"]])
def test_an_audience_is_one_or_several_of_which_one_is_ours(audience: object) -> None:
    assert read(token({"aud": audience})).claims["aud"] == audience


@pytest.mark.parametrize(
    "audience", ["api://other", ["api://other"], [], "", "api://kdb/", "API://kdb"]
)
def test_an_audience_of_others_alone_is_refused(audience: object) -> None:
    assert reason(token({"aud": audience})) == Refusal.WRONGAUDIENCE


def test_a_token_without_an_audience_is_refused() -> None:
    assert reason(signed(HEADER, without(CLAIMS, "aud"))) == Refusal.WRONGAUDIENCE


@pytest.mark.parametrize("audience", [None, 7, True, {"api://kdb": 1}, ["api://kdb", 7], [["a"]]])
def test_an_audience_of_another_shape_is_malformed(audience: object) -> None:
    assert reason(token({"aud": audience})) == Refusal.MALFORMED


def test_where_no_audience_is_configured_none_is_accepted() -> None:
    assert refusal(lambda: check_audience({"aud": "api://kdb"}, ())) == Refusal.WRONGAUDIENCE


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://login.example.com"}, 'iss is "https://login.example.com", wanted "https'
         '://login.example.com/": mend issuer'),
        ({"iss": None}, "iss is null, wanted "),
        ({"iss": ["a", 1]}, 'iss is ["a", 1], wanted '),
        ({"aud": ["a", "b"]}, 'aud is ["a", "b"], wanted "api://kdb": '),
        ({"aud": 7}, "aud is 7, wanted a string or a list of strings"),
        ({"scope": "openid profile"}, 'scope is "openid profile", wanted "kdb.login" in it: '),
        ({"scope": "a", "scp": ["b"]}, 'scope is "a" and scp is ["b"], wanted "kdb.login" in it: '),
        ({}, 'scope is missing, wanted "kdb.login" in it: '),
        ({"aud": "eyJhbGciOiJSUzI1NiJ9.e30.x"}, "aud is a text that may be a token, wanted "),
        ({"iss": "\x1b[2J" + "x" * 120}, 'iss is "\\u001b[2Jx'),
    ],
)  # fmt: skip
def test_a_refusal_says_what_was_seen_and_what_was_wanted(
    claims: dict[str, object], said: str
) -> None:
    with pytest.raises(TokenRejected) as rejected:
        read(token(claims), rules(required_scope="kdb.login"))
    assert rejected.value.detail.startswith(said)


@pytest.mark.parametrize(("claim", "by"), [("iss", "issuer"), ("aud", "audience"), ("exp", "add")])
def test_a_missing_claim_is_said_to_be_missing(claim: str, by: str) -> None:
    with pytest.raises(TokenRejected, match=f"^[a-z]+: {claim} is missing, wanted .*{by}"):
        read(signed(HEADER, without(CLAIMS, claim)))


def test_another_claim_may_stand_for_the_audience() -> None:
    """Amazon Cognito's access tokens have client_id and no aud."""
    by = rules(audience=frozenset({"qstudio"}), audience_claim="client_id")
    cognito = {**without(CLAIMS, "aud"), "client_id": "qstudio", "token_use": "access"}
    assert read(signed(HEADER, cognito), by).claims["client_id"] == "qstudio"
    assert reason(signed(HEADER, {**cognito, "client_id": "x"}), by) == Refusal.WRONGAUDIENCE
    assert reason(signed(HEADER, without(cognito, "client_id")), by) == Refusal.WRONGAUDIENCE
    assert reason(signed(HEADER, {**cognito, "token_use": "id"}), by) == Refusal.WRONGTYPE


# When


def test_a_token_is_refused_at_exp_and_not_before() -> None:
    assert reason(token({"exp": T})) == Refusal.EXPIRED
    assert read(token({"exp": T + 0.001})).times.expires_at == NOW + timedelta(milliseconds=1)


def test_a_token_without_exp_is_malformed() -> None:
    assert reason(signed(HEADER, without(CLAIMS, "exp"))) == Refusal.MALFORMED


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e999", b'"9999999999"', b"true"])
def test_an_exp_that_is_no_finite_number_is_malformed(value: bytes) -> None:
    payload = b'{"iss":"https://login.example.com/","aud":"api://kdb","exp":' + value + b"}"
    assert reason(signed(HEADER, payload)) == Refusal.MALFORMED


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_begin_in_the_future_is_excused_by_the_leeway_alone(claim: str) -> None:
    assert read(token({claim: T + 30})).claims[claim] == T + 30
    assert reason(token({claim: T + 31})) == Refusal.NOTYET


# scope


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "openid kdb.login"},
        {"scp": "kdb.login"},
        {"scp": ["openid", "kdb.login"]},
        {"scope": "openid", "scp": "kdb.login"},
    ],
)
def test_a_required_scope_may_stand_in_scope_or_scp(claims: dict[str, object]) -> None:
    by = rules(required_scope="kdb.login")
    assert read(token(claims), by).claims == {**CLAIMS, **claims}


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"scope": ""},
        {"scope": "kdb.login2"},
        {"scope": "KDB.login"},
        {"scope": {"kdb.login": 1}},
    ],
)
def test_a_token_without_the_required_scope_is_refused(claims: dict[str, object]) -> None:
    assert reason(token(claims), rules(required_scope="kdb.login")) == Refusal.WRONGSCOPE


def test_of_several_required_scopes_each_is_needed() -> None:
    check_scope({"scope": "b a c"}, "a b")
    assert refusal(lambda: check_scope({"scope": "a c"}, "a b")) == Refusal.WRONGSCOPE
