"""What a bearer is told who is turned away, by RFC 6750 and RFC 9470."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.access import Ceiling
from sessiond.core.errors import Refusal
from sessiond.web.challenge import bearer_denied

CHALLENGE = re.compile(r'Bearer (\w+="[^"\\\r\n]*")(, \w+="[^"\\\r\n]*")*')
TRY_AGAIN = {Refusal.UNAVAILABLE: 503, Refusal.DEADLINE: 503, Refusal.THROTTLED: 429}
SCOPE = {Refusal.NOTALLOWED, Refusal.NOROLES, Refusal.WRONGSCOPE}


def challenge(headers: str) -> str:
    found = re.search(r"^WWW-Authenticate: (.*)\r\n", headers, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("reason", Refusal)
def test_each_reason_has_its_status(reason: Refusal) -> None:
    answer = bearer_denied(reason)
    assert answer.action == "deny"
    assert answer.reason == reason.value
    assert answer.status == TRY_AGAIN.get(reason, 403 if reason in SCOPE else 401)


@pytest.mark.parametrize("reason", [each for each in Refusal if each not in TRY_AGAIN])
def test_a_token_to_blame_is_answered_with_a_challenge(reason: Refusal) -> None:
    text = challenge(bearer_denied(reason).headers)
    assert CHALLENGE.fullmatch(text)
    error = "insufficient_scope" if reason in SCOPE else "invalid_token"
    if reason is Refusal.STEPUP:
        error = "insufficient_user_authentication"
    assert text.startswith(f'Bearer error="{error}", error_description="')


@pytest.mark.parametrize("reason", TRY_AGAIN)
def test_a_token_that_is_not_to_blame_may_come_again(reason: Refusal) -> None:
    answer = bearer_denied(reason)
    assert "WWW-Authenticate" not in answer.headers
    assert "Retry-After: 5\r\n" in answer.headers


def test_who_must_sign_in_otherwise_is_told_how() -> None:
    ceiling = Ceiling(acr=("urn:mfa", "c2"), max_age=timedelta(minutes=5))
    text = challenge(bearer_denied(Refusal.STEPUP, ceiling).headers)
    assert text.endswith(', acr_values="urn:mfa c2", max_age="300"')


def test_only_what_is_asked_for_is_told() -> None:
    assert "acr_values" not in bearer_denied(Refusal.STEPUP, Ceiling()).headers
    assert "max_age" not in bearer_denied(Refusal.STEPUP, Ceiling()).headers
    ceiling = Ceiling(acr=("urn:mfa",), max_age=timedelta(minutes=5))
    assert "acr_values" not in bearer_denied(Refusal.EXPIRED, ceiling).headers


@given(st.lists(st.text(max_size=12), max_size=4))
def test_no_configured_context_breaks_the_challenge(acr: list[str]) -> None:
    text = challenge(bearer_denied(Refusal.STEPUP, Ceiling(acr=tuple(acr))).headers)
    assert CHALLENGE.fullmatch(text)
