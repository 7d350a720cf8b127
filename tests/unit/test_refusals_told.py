"""Refusals as they come: what is said of a token, and nothing of the token."""

from datetime import timedelta

import pytest

from sessiond.core.access import AccessRules, shortage_of
from sessiond.core.claims import ClaimRules, verdict_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import MAX_PASSWORD_SIZE, read_password
from sessiond.core.secret import Secret
from sessiond.jwt.access import TokenRules, read_access_token
from tests import canary
from tests.unit.jwt.forge import ISSUER, NOW, OTHER_RSA, T, keys, token
from tests.unit.test_messages import FORM

TOKENS = TokenRules(
    issuers=frozenset({ISSUER}),
    audience=frozenset({"api://kdb"}),
    algorithms=frozenset({"RS256"}),
    types=frozenset({"at+jwt"}),
    required_scope="session.login",
    leeway=timedelta(seconds=30),
)
CLAIMS = ClaimRules(
    issuer="corp",
    user_claim="email",
    subject_claim="sub",
    lease=timedelta(hours=1),
    roles_claim=("roles",),
)
GOOD = {"scope": "session.login", "email": "alice@example.com", "email_verified": True}


def judged(password: str) -> None:
    """Judge a password as a login does, as far as no issuer is asked."""
    access = read_password(password).access
    read = read_access_token(access, TOKENS.signers(keys()), TOKENS, now=NOW)
    verdict = verdict_of(read.claims, CLAIMS, times=read.times, now=NOW)
    denied = shortage_of(AccessRules(required=frozenset({"corp"})), verdict)
    if denied is not None:
        raise TokenRejected(denied.reason, denied.detail)


def good(**claims: object) -> str:
    return token({**GOOD, **claims}).reveal()


PASSWORDS = {
    Refusal.NOTTOKEN: f"Bearer {good()}",
    Refusal.MALFORMED: good(exp="soon"),
    Refusal.TOOLARGE: f"bearer:{good()}{'a' * MAX_PASSWORD_SIZE}",
    Refusal.BADSIGNATURE: token(GOOD, key=OTHER_RSA).reveal(),
    Refusal.WRONGTYPE: token(GOOD, header={"typ": "JWT"}).reveal(),
    Refusal.EXPIRED: good(exp=T - 1),
    Refusal.NOTYET: good(nbf=T + 3600),
    Refusal.WRONGISSUER: good(iss="https://elsewhere.example"),
    Refusal.WRONGAUDIENCE: good(aud="api://other"),
    Refusal.WRONGSCOPE: good(scope="other"),
    Refusal.USERMISMATCH: good(email_verified=False),
    Refusal.NOROLES: good(roles=["others"]),
}


@pytest.mark.parametrize("reason", PASSWORDS)
def test_a_refusal_says_what_to_do_and_nothing_of_the_token(reason: Refusal) -> None:
    password = PASSWORDS[reason]
    canary.remember(password, "a refused password")
    with pytest.raises(TokenRejected) as refused:
        judged(password)
    assert refused.value.reason is reason
    assert FORM.fullmatch(refused.value.detail)
    assert not canary.found_in(refused.value.detail.encode())
    assert all(part not in refused.value.detail for part in password.split(".") if len(part) > 8)


@pytest.mark.parametrize("claim", ["iss", "aud", "scope", "email", "email_verified", "typ"])
def test_a_claim_that_is_a_token_itself_is_not_shown(claim: str) -> None:
    inner = good()
    canary.remember(inner, "a token in a claim")
    with pytest.raises(TokenRejected) as refused:
        judged(good(**{claim: inner, "roles": [inner]}))
    assert not canary.found_in(refused.value.detail.encode())


def test_a_good_token_lacks_a_role_only() -> None:
    with pytest.raises(TokenRejected, match=r"^noroles: .*wanted a value"):
        judged(Secret(good()).reveal())
