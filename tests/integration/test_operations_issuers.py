"""The guide's tables for vendors' issuers, against tokens of the shapes that those document."""

import tomllib
from collections.abc import Mapping
from datetime import timedelta

import msgspec
import pytest

from sessiond.config import IssuerConfig
from sessiond.config.claim_rules import claim_rules
from sessiond.core.claims import verdict_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.verdict import Verdict
from sessiond.issuers.build import _token_rules
from sessiond.jwt.access import read_access_token
from tests.integration.test_operations_guide import blocks
from tests.unit.jwt.forge import NOW, T, keys, signed

Members = dict[str, object]
KEYCLOAK: Members = {
    "iss": "https://sso.example.com/realms/trading",
    "iat": T,
    "exp": T + 300,
    "jti": "onrtac:1",
    "aud": ["api://kdb", "account"],
    "sub": "f3a1",
    "typ": "Bearer",
    "azp": "qstudio",
    "sid": "b2c3",
    "acr": "1",
    "realm_access": {"roles": ["kdb-read", "offline_access", "uma_authorization"]},
    "resource_access": {"account": {"roles": ["view-profile"]}},
    "scope": "openid profile email kdb",
    "preferred_username": "alice",
}
OKTA: Members = {
    "ver": 1,
    "jti": "AT.1",
    "iss": "https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9",
    "aud": "api://kdb",
    "iat": T,
    "exp": T + 3600,
    "cid": "0oa1b2c3d4e5f6g7h8i9",
    "uid": "00u1",
    "scp": ["session.login", "offline_access"],
    "auth_time": T,
    "sub": "alice",
    "groups": ["kdb-read", "kdb-write"],
}
KEYCLOAK_HEADER: Members = {"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}
OKTA_HEADER: Members = {"kid": "rsa", "alg": "RS256"}


def table(name: str) -> IssuerConfig:
    """Return the guide's table for a vendor."""
    tables = [each for block in blocks("toml") for each in tomllib.loads(block).get("issuer", [])]
    (found,) = (each for each in tables if each["name"] == name)
    return msgspec.convert(found, IssuerConfig)


def verified(config: IssuerConfig, header: Members, claims: Mapping[str, object]) -> Verdict:
    rules = _token_rules(config, issuers=frozenset({config.issuer}), leeway=timedelta(seconds=30))
    found = read_access_token(signed(header, claims), keys(), rules, now=NOW)
    return verdict_of(found.claims, claim_rules(config), times=found.times, now=NOW)


@pytest.mark.parametrize(
    ("name", "header", "claims", "subject"),
    [
        ("keycloak", KEYCLOAK_HEADER, KEYCLOAK, "f3a1"),
        ("okta", OKTA_HEADER, OKTA, "00u1"),
    ],
)
def test_an_access_token_lets_its_user_in_with_her_role(
    name: str, header: Members, claims: Members, subject: str
) -> None:
    verdict = verified(table(name), header, claims)
    assert (verdict.principal.name, verdict.principal.subject) == ("alice", subject)
    assert verdict.roles == ("reader",)


@pytest.mark.parametrize(
    ("name", "header", "claims", "changed", "reason"),
    [
        # an id_token, a refresh token, one for another program, a user without the role
        ("keycloak", KEYCLOAK_HEADER, KEYCLOAK, {"typ": "ID"}, Refusal.WRONGTYPE),
        ("keycloak", KEYCLOAK_HEADER, KEYCLOAK, {"typ": "Refresh"}, Refusal.WRONGTYPE),
        ("keycloak", KEYCLOAK_HEADER | {"typ": "JWT"}, KEYCLOAK, {}, Refusal.WRONGTYPE),
        ("keycloak", KEYCLOAK_HEADER, KEYCLOAK, {"nonce": "n"}, Refusal.WRONGTYPE),
        ("keycloak", KEYCLOAK_HEADER, KEYCLOAK, {"aud": "account"}, Refusal.WRONGAUDIENCE),
        ("keycloak", KEYCLOAK_HEADER, KEYCLOAK, {"realm_access": {}}, Refusal.NOROLES),
        # an id_token, one without the scope, one of a client without a user, no group
        ("okta", OKTA_HEADER, OKTA, {"aud": "0oa1b2c3d4e5f6g7h8i9"}, Refusal.WRONGAUDIENCE),
        ("okta", OKTA_HEADER, OKTA, {"scp": ["openid"]}, Refusal.WRONGSCOPE),
        ("okta", OKTA_HEADER, OKTA, {"uid": None}, Refusal.MALFORMED),
        ("okta", OKTA_HEADER, OKTA, {"groups": ["sales"]}, Refusal.NOROLES),
    ],
)
def test_what_is_no_such_token_is_refused(
    name: str, header: Members, claims: Members, changed: Members, reason: Refusal
) -> None:
    with pytest.raises(TokenRejected) as rejected:
        verified(table(name), header, claims | changed)
    assert rejected.value.reason is reason


def test_without_keycloaks_switch_its_id_tokens_are_still_told_apart() -> None:
    config = msgspec.structs.replace(table("keycloak"), typ=("JWT",))
    header = KEYCLOAK_HEADER | {"typ": "JWT"}
    assert verified(config, header, KEYCLOAK).roles == ("reader",)
    for claims in (KEYCLOAK | {"typ": "ID"}, KEYCLOAK | {"aud": "qstudio"}):
        with pytest.raises(TokenRejected):
            verified(config, header, claims)
