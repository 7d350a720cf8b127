"""Of what kind a token is, by the marks of many issuers. Where a shape is from stands beside it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.jwt.kind import (
    NO_EXCEPTIONS,
    KindRules,
    check_entra_kind,
    check_kind,
    check_no_id_token,
)

# Claims of users' tokens: none of these may be taken for a program's.
USERS: dict[str, dict[str, object]] = {
    # RFC 9068, 2.2: a client_id, and neither sid nor auth_time
    "RFC 9068": {"sub": "5ba552d67", "client_id": "s6BhdRkqt3", "scope": "openid"},
    # RFC 7662, 2.2: an introspection answer
    "RFC 7662": {"sub": "Z5O3upPC88QrAjx00dis", "client_id": "l238j323ds-23ij4", "username": "j"},
    # docs.aws.amazon.com/cognito/.../amazon-cognito-user-pools-using-the-access-token.html
    "Cognito": {
        **{"sub": "aaaa-bbbb", "client_id": "xxxx", "token_use": "access", "auth_time": 1},
        **{"username": "my-test-user", "scope": "aws.cognito.signin.user.admin"},
    },
    # ory.com/docs/hydra/guides/jwt-access-token
    "Hydra": {"sub": "alice", "client_id": "my-client", "scp": ["openid"], "ext": {}},
    # is.docs.wso2.com: a JWT access token of a user
    "WSO2": {"sub": "5f3d", "client_id": "7y_w", "azp": "7y_w", "aut": "APPLICATION_USER"},
    # auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
    "Auth0": {"sub": "auth0|5f7c8ec7", "azp": "my_client_id", "gty": "password"},
    # developer.okta.com/docs/reference/api/oidc, access token payload
    "Okta": {"sub": "john.doe@example.com", "cid": "nmdP1fcyvdVO11AL7ECm", "uid": "00ulzqdV"},
    # Keycloak 26.7.3, as its server answered: the token, and introspection of it
    "Keycloak": {
        **{"typ": "Bearer", "azp": "qstudio", "sub": "u-1", "sid": "s-1", "auth_time": 1},
        **{"jti": "onrtac:0b5c", "preferred_username": "alice"},
    },
    "Keycloak, introspected": {
        **{"typ": "Bearer", "azp": "qstudio", "client_id": "qstudio", "sub": "u-1", "sid": "s-1"},
        **{"jti": "onltac:0b5c", "username": "alice"},
    },
    # Keycloak before version 20
    "Keycloak 12": {"typ": "Bearer", "client_id": "qstudio", "session_state": "s", "sub": "u-1"},
    "another's typ": {"typ": "Bearer", "client_id": "qstudio", "sub": "u-1"},
    # goauthentik.io: an access token has the id_token's claims
    "authentik": {"sub": "5e884898", "azp": "qstudio", "uid": "x", "preferred_username": "akadmin"},
    # learn.microsoft.com/entra/identity-platform/access-token-claims-reference; B2C: sub is oid
    "Entra": {"sub": "AAAA", "oid": "o-1", "azp": "p-1", "idtyp": "user", "scp": "session.login"},
    "Entra B2C": {"sub": "o-1", "oid": "o-1", "azp": "p-1", "scp": "session.login"},
    # help.sap.com: XSUAA, as Cloud Foundry's UAA
    "SAP XSUAA": {
        **{"sub": "u-1", "client_id": "sb-app!t1", "cid": "sb-app!t1", "azp": "sb-app!t1"},
        **{"grant_type": "authorization_code", "user_name": "alice", "zid": "z"},
    },
    "PingFederate": {"sub": "alice", "client_id": "qstudio", "scope": "openid"},
    "nothing at all": {},
}

# Claims of programs' tokens, and the client that each names.
PROGRAMS: dict[str, tuple[dict[str, object], str]] = {
    # Keycloak 26.7.3, as its server answered
    "Keycloak": (
        {
            **{"typ": "Bearer", "azp": "batch", "client_id": "batch", "sub": "u-9"},
            **{"jti": "trrtcc:0b5c", "preferred_username": "service-account-batch"},
        },
        "batch",
    ),
    "Keycloak, its name alone": ({"preferred_username": "service-account-batch"}, "batch"),
    "Keycloak, introspected": ({"username": "service-account-batch", "sub": "u-9"}, "batch"),
    "Keycloak, without a name": (
        {"typ": "Bearer", "azp": "batch", "client_id": "batch", "sub": "u-9"},
        "batch",
    ),
    "Keycloak, lightweight": ({"typ": "Bearer", "azp": "batch", "jti": "trltcc:0b5c"}, "batch"),
    # auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow
    "Auth0": ({"sub": "c1@clients", "azp": "c1", "gty": "client-credentials"}, "c1"),
    "Auth0, by its subject": ({"sub": "c1@clients", "azp": "c1"}, "c1"),
    # fusionauth.io/docs/lifecycle/authenticate-users/oauth/tokens: a list
    "FusionAuth": ({"sub": "e-1", "azp": "e-1x", "gty": ["client_credentials"]}, "e-1x"),
    # RFC 9068, 2.2; Cognito, Hydra and PingOne keep to it
    "RFC 9068": ({"sub": "batch", "client_id": "batch"}, "batch"),
    # developer.okta.com/docs/guides/implement-grant-type/clientcreds
    "Okta": ({"sub": "0oa1", "cid": "0oa1"}, "0oa1"),
    # learn.microsoft.com/entra/identity-platform/optional-claims-reference
    "Entra": ({"idtyp": "app", "oid": "o", "sub": "o", "azp": "app-1"}, "app-1"),
    "Entra, a device": ({"idtyp": "device", "appid": "app-1"}, "app-1"),
    # is.docs.wso2.com
    "WSO2": ({"sub": "5f3d", "azp": "7y_w", "aut": "APPLICATION"}, "7y_w"),
    # docs.cloudfoundry.org/api/uaa, client credentials grant
    "SAP XSUAA": (
        {"sub": "sb-app!t1", "client_id": "sb-app!t1", "grant_type": "client_credentials"},
        "sb-app!t1",
    ),
    # docs.oracle.com/iaas/Content/Identity/api-getstarted/AccessToken.htm
    "Oracle": ({"sub": "x", "client_id": "y", "sub_type": "client"}, "y"),
}


def refusal(claims: dict[str, object], rules: KindRules = NO_EXCEPTIONS) -> TokenRejected:
    with pytest.raises(TokenRejected) as rejected:
        check_kind(claims, rules)
    assert rejected.value.reason is Refusal.WRONGTYPE
    return rejected.value


# Users and programs


@pytest.mark.parametrize("claims", USERS.values(), ids=USERS)
def test_no_users_token_is_taken_for_a_programs(claims: dict[str, object]) -> None:
    check_kind(claims, NO_EXCEPTIONS)
    check_kind(claims, KindRules(allow_clients=frozenset({"batch"})))


@pytest.mark.parametrize(("claims", "client"), PROGRAMS.values(), ids=PROGRAMS)
def test_a_token_of_a_program_is_refused_unless_its_client_is_named(
    claims: dict[str, object], client: str
) -> None:
    said = refusal(claims, KindRules(allow_clients=frozenset({"another"}))).detail
    assert "stands for a program" in said
    assert f'allow_clients must list "{client}"' in said
    check_kind(claims, KindRules(allow_clients=frozenset({client})))


@pytest.mark.parametrize(
    "claims",
    [
        {"azp": "evil", "preferred_username": "service-account-batch"},
        {"client_id": "evil", "username": "service-account-batch", "gty": "client-credentials"},
        {"client_id": "evil", "azp": "batch", "sub": "evil"},
        {"oid": "1", "sub": "1", "azp": "evil", "appid": "batch", "idtyp": "app"},
    ],
)
def test_a_program_that_also_states_another_client_is_not_the_one_that_is_named(
    claims: dict[str, object],
) -> None:
    said = refusal(claims, KindRules(allow_clients=frozenset({"batch"}))).detail
    assert '"evil"' in said
    check_kind(claims, KindRules(allow_clients=frozenset({"batch", "evil"})))


def test_of_a_client_that_keycloak_calls_in_lower_case_its_own_id_counts() -> None:
    claims: dict[str, object] = {
        "azp": "Batch",
        "preferred_username": "service-account-batch",
    }
    check_kind(claims, KindRules(allow_clients=frozenset({"Batch"})))
    refusal(claims, KindRules(allow_clients=frozenset({"batch"})))
    del claims["azp"]
    check_kind(claims, KindRules(allow_clients=frozenset({"batch"})))


def test_a_program_without_a_name_is_refused_whoever_is_named() -> None:
    said = refusal({"gty": "client-credentials"}, KindRules(allow_clients=frozenset({""}))).detail
    assert said.endswith("allow_clients must list it")


values: st.SearchStrategy[Any] = st.sampled_from(
    ["alice", "qstudio", "Bearer", "user", "", None, 7, True, [], ["x"], {}, "service-account"]
)


@given(st.dictionaries(st.sampled_from(["client_id", "azp", "cid", "sid", "scope", "aut"]), values))
def test_whom_a_token_was_issued_to_makes_it_no_programs(claims: dict[str, object]) -> None:
    check_kind({**claims, "sub": "a-1"}, NO_EXCEPTIONS)


@given(
    claims=st.sampled_from(list(USERS.values())),
    mark=st.sampled_from([claims for claims, _ in PROGRAMS.values()]),
)
def test_a_programs_mark_counts_whatever_else_is_there(
    claims: dict[str, object], mark: dict[str, object]
) -> None:
    session = {"sid", "session_state", "auth_time"}  # what Keycloak's nameless ones are known by
    refusal({**{name: claims[name] for name in claims.keys() - session}, **mark})


# Other kinds


@pytest.mark.parametrize(
    "claims",
    [
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Offline"},
        {"typ": "Logout"},
        {"token_use": "id"},
        {"token_use": "refresh"},
        {"token_use": "refresh_token"},  # ory.com/docs/reference/api: introspectOAuth2Token
    ],
)
def test_a_token_that_says_it_is_of_another_kind_is_refused(claims: dict[str, object]) -> None:
    assert str(next(iter(claims.values()))) in refusal(claims).detail


@pytest.mark.parametrize(
    "cnf", [{"jkt": "x"}, {"x5t#S256": "x"}, {"jwk": {}}, {"kid": "x"}, {}, "x", 7, False]
)
def test_a_token_that_is_bound_to_a_key_is_refused(cnf: object) -> None:
    said = refusal({"cnf": cnf}, KindRules(allow_clients=frozenset({"batch"}))).detail
    assert said.startswith("cnf binds it to a key, wanted a user's bearer access token: ")


def test_a_confirmation_that_is_null_is_none() -> None:
    check_kind({"cnf": None}, NO_EXCEPTIONS)


@pytest.mark.parametrize("claim", ["nonce", "at_hash", "c_hash", "s_hash", "events"])
def test_what_id_tokens_and_event_tokens_have_is_refused_unless_it_is_tolerated(claim: str) -> None:
    with pytest.raises(TokenRejected, match=claim):
        check_no_id_token({claim: "x"}, NO_EXCEPTIONS)
    others = frozenset({"nonce", "at_hash", "c_hash", "s_hash"} - {claim})
    with pytest.raises(TokenRejected, match=claim):
        check_no_id_token({claim: "x", "nonce": "x"}, KindRules(tolerated=others))
    if claim == "events":  # a logout token is nobody's access token
        with pytest.raises(TokenRejected, match="events"):
            check_no_id_token({claim: {}}, KindRules(tolerated=frozenset({"events"})))
    else:
        check_no_id_token({claim: "x"}, KindRules(tolerated=frozenset({claim})))


# Entra


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({}, "scp is missing"),
        ({"scp": ""}, 'scp is "", '),
        ({"scp": [7]}, "scp is [7], "),
        ({"oid": "o", "sub": "o", "scp": "x"}, "oid is equal to sub"),
        ({"oid": "o", "sub": "o", "azp": "app-1"}, 'must list "app-1"'),
    ],
)
def test_what_is_no_users_token_of_entra_is_told(claims: dict[str, object], said: str) -> None:
    with pytest.raises(TokenRejected) as rejected:
        check_entra_kind(claims, NO_EXCEPTIONS)
    assert rejected.value.reason is Refusal.WRONGTYPE
    assert said in rejected.value.detail


def test_entras_named_clients_need_no_scope_and_nobody_else_goes_without() -> None:
    rules = KindRules(allow_clients=frozenset({"app-1"}))
    check_entra_kind({"oid": "o", "sub": "o", "azp": "app-1"}, rules)
    check_entra_kind({"idtyp": "app", "appid": "app-1"}, rules)
    check_entra_kind({"scp": "session.login"}, rules)
    with pytest.raises(TokenRejected, match="scp is missing"):  # an id_token of that client
        check_entra_kind({"oid": "o", "sub": "s", "azp": "app-1"}, rules)
