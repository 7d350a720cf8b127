"""What the `[[issuer]]` table demands of tokens that a plugin has verified."""

from datetime import timedelta

import pytest

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.testing import issuer_about
from tests.fakes import START

ISSUER = "https://login.example.com/"
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "aud": "api://kdb",
    "sub": "s-1",
    "preferred_username": "alice",
    "iat": START.timestamp() - 60,
    "exp": START.timestamp() + 600,
    "roles": ["trader"],
    "department": "rates",
}


def test_true_claims_become_a_verdict_as_the_table_says() -> None:
    about = issuer_about(
        roles={"trader": "trading"}, default_roles=["all"], attributes={"department": "desk"}
    )
    verdict = about.verdict(CLAIMS, now=START, key_id="k")
    who = verdict.principal
    assert (who.issuer, who.subject, who.name) == ("corp", "s-1", "alice")
    assert verdict.lease.issued_at == START - timedelta(seconds=60)
    assert verdict.lease.expires_at == START + timedelta(seconds=600)
    assert (verdict.roles, dict(verdict.attributes)) == (("all", "trading"), {"desk": "rates"})
    assert verdict.key_id == "k"


def test_an_answers_own_end_counts_too() -> None:
    verdict = issuer_about().verdict(CLAIMS, now=START, expires_in=10.0)
    assert verdict.lease.expires_at == START + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://other.example.com/"}, Refusal.WRONGISSUER),
        ({"iss": None}, Refusal.WRONGISSUER),
        ({"aud": "api://other"}, Refusal.WRONGAUDIENCE),
        ({"exp": START.timestamp()}, Refusal.EXPIRED),
        ({"nbf": START.timestamp() + 31}, Refusal.NOTYET),
        ({"exp": "tomorrow"}, Refusal.MALFORMED),
        ({"sub": ""}, Refusal.MALFORMED),
        ({"cnf": {"jkt": "x"}}, Refusal.WRONGTYPE),
        ({"client_id": "s-1"}, Refusal.WRONGTYPE),
    ],
)
def test_each_demand_of_the_table_is_made(changed: dict[str, object], reason: Refusal) -> None:
    about = issuer_about(roles={"trader": "trading"})
    with pytest.raises(TokenRejected) as rejected:
        about.verdict({**CLAIMS, **changed}, now=START)
    assert rejected.value.reason is reason


def test_a_required_scope_must_be_there() -> None:
    about = issuer_about(required_scope="kdb.login")
    with pytest.raises(TokenRejected) as rejected:
        about.verdict(CLAIMS, now=START)
    assert rejected.value.reason is Refusal.WRONGSCOPE
    granted = about.verdict({**CLAIMS, "scope": "openid kdb.login"}, now=START)
    assert granted.principal.name == "alice"


def test_the_laxer_keys_of_the_table_count_for_a_plugin_too() -> None:
    about = issuer_about(
        audience=("qstudio",),
        audience_claim="client_id",
        allow_clients=("qstudio",),
        user_claim="email",
        unverified_email=True,
        role_names=("trad*",),
    )
    claims = {**CLAIMS, "client_id": "qstudio", "sub": "qstudio", "email": "alice@example.com"}
    verdict = about.verdict(claims, now=START)
    assert (verdict.principal.name, verdict.roles) == ("alice@example.com", ("trader",))


def test_where_no_audience_is_configured_none_is_asked_for() -> None:
    verdict = issuer_about(audience=()).verdict({**CLAIMS, "aud": 5}, now=START)
    assert verdict.principal.name == "alice"
