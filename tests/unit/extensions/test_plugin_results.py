"""Which answers of a plugin are believed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.granted import Granted
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.verdict import Verdict
from sessiond.extensions.plugin_guard import AnswerError
from sessiond.extensions.plugin_results import (
    MOST_ATTRIBUTES,
    MOST_ROLES,
    checked_granted,
    checked_verdict,
)
from tests.fakes import HOUR, START, lease, principal, verdict

NAIVE = datetime(2026, 3, 2, 10)  # noqa: DTZ001 - that is what is wrong with it
ELSEWHERE = (START + HOUR).astimezone(timezone(HOUR))


def checked(answer: Any) -> Verdict:
    return checked_verdict(answer, issuer="corp", now=START)


def test_a_good_verdict_is_believed_with_its_roles_in_order() -> None:
    given = verdict(roles=("writer", "reader", "reader"), attributes={"desk": "rates"})
    assert checked(given) == replace(given, roles=("reader", "writer"))
    assert checked(replace(given, stated_iat=None)).stated_iat is None
    assert checked(replace(given, roles=["reader"])).roles == ("reader",)  # type: ignore[arg-type]


def test_a_lease_that_begins_in_the_future_begins_now() -> None:
    answer = checked(verdict(begin=START + timedelta(seconds=1)))
    assert answer.lease == Lease(issued_at=START, expires_at=START + timedelta(seconds=1) + HOUR)


def test_a_lease_that_is_over_refuses_the_token() -> None:
    with pytest.raises(TokenRejected) as rejected:
        checked(verdict(begin=START - HOUR))
    assert rejected.value.reason is Refusal.EXPIRED


def fake_lease(issued_at: datetime, expires_at: datetime) -> Lease:
    made = Lease(issued_at=START, expires_at=START + HOUR)
    structs.force_setattr(made, "issued_at", issued_at)
    structs.force_setattr(made, "expires_at", expires_at)
    return made


BAD: list[tuple[Any, str]] = [
    (None, "no Verdict"),
    (SimpleNamespace(principal=principal()), "no Verdict"),
    (replace(verdict(), principal="alice"), "no Principal"),  # type: ignore[arg-type]
    (verdict(principal(issuer="bank")), "another issuer's"),
    (verdict(Principal(issuer="corp", subject="s", name="ali\u0441e")), "principal's name"),
    (verdict(Principal(issuer="corp", subject="s", name="a" * 257)), "principal's name"),
    (verdict(Principal(issuer="corp", subject="", name="alice")), "principal's subject"),
    (verdict(Principal(issuer="corp", subject=7, name="alice")), "principal's subject"),  # type: ignore[arg-type]
    (replace(verdict(), lease=HOUR), "no Lease"),  # type: ignore[arg-type]
    (replace(verdict(), lease=fake_lease(NAIVE, NAIVE + HOUR)), "lease.issued_at"),
    (replace(verdict(), lease=fake_lease(START, NAIVE)), "lease.expires_at"),
    (replace(verdict(), lease=fake_lease(START, ELSEWHERE)), "lease.expires_at"),
    (replace(verdict(), stated_iat=NAIVE), "stated_iat"),
    (replace(verdict(), stated_iat=5), "stated_iat"),  # type: ignore[arg-type]
    (replace(verdict(), key_id=b"k"), "key_id"),  # type: ignore[arg-type]
    (verdict(roles="reader"), "no collection"),  # type: ignore[arg-type]
    (verdict(roles=None), "no collection"),  # type: ignore[arg-type]
    (verdict(roles=("",)), "a role"),
    (verdict(roles=(" reader",)), "a role"),
    (verdict(roles=("rea\nder",)), "a role"),
    (verdict(roles=(5,)), "a role"),  # type: ignore[arg-type]
    (verdict(roles=("r" * 1025,)), "a role"),
    (verdict(roles=tuple(map(str, range(MOST_ROLES + 1)))), "more than 256 roles"),
    (replace(verdict(), attributes=[("a", "b")]), "no mapping"),  # type: ignore[arg-type]
    (verdict(attributes={"": "b"}), "attribute's name"),
    (verdict(attributes={"a": "b\x00"}), "printable"),
    (verdict(attributes={"a": 5}), "printable"),  # type: ignore[dict-item]
    (verdict(attributes={"a": "b" * 4097}), "4096"),
    (verdict(attributes={str(n): "" for n in range(MOST_ATTRIBUTES + 1)}), "more than 64"),
]


@pytest.mark.parametrize(("answer", "fault"), BAD)
def test_a_verdict_that_could_not_be_kept_is_not_believed(answer: Any, fault: str) -> None:
    with pytest.raises(AnswerError, match=fault):
        checked(answer)


def test_dates_in_utc_are_taken_whatever_utc_is_called() -> None:
    utc = timezone(timedelta(0), "Z")
    answer = fake_lease(START.astimezone(utc), (START + HOUR).astimezone(utc))
    assert checked(replace(verdict(), lease=answer)).lease.expires_at == START + HOUR
    assert lease().issued_at.tzinfo is UTC


def test_what_a_source_grants_is_put_in_order() -> None:
    granted = checked_granted(Granted(roles={"b", "a"}, attributes={"desk": ""}))
    assert (granted.roles, dict(granted.attributes)) == (("a", "b"), {"desk": ""})


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "no Granted"),
        (["reader"], "no Granted"),
        (Granted(roles="reader"), "no collection"),
        (Granted(roles=["a\u0301"]), "a role"),
        (Granted(attributes={"a": None}), "printable"),  # type: ignore[dict-item]
    ],
)
def test_a_grant_that_could_not_be_kept_is_not_believed(answer: Any, fault: str) -> None:
    with pytest.raises(AnswerError, match=fault):
        checked_granted(answer)
