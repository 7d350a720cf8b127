"""A ticket has its own claims, all of them and no others."""

from typing import Any

import pytest

from sessiond.tickets.claims import claims_of
from tests.fakes import session_id
from tests.unit.tickets.making import claims

GOOD = claims().members()


def test_what_is_signed_is_what_is_read() -> None:
    for each in (claims(parent=session_id(9)), claims(verdict="sealed")):
        assert claims_of(each.members()) == each


def test_all_claims_are_there_under_their_published_names() -> None:
    assert [*GOOD] == ["iss", "sub", "name", "aud", "jti", "iat", "exp", "sid"]
    assert [*claims(verdict="sealed").members()][-1] == "verdict"


@pytest.mark.parametrize("missing", [*GOOD])
def test_one_that_lacks_a_claim_is_no_ticket(missing: str) -> None:
    assert claims_of({name: each for name, each in GOOD.items() if name != missing}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict": "sealed"},  # beside sid
        {"scope": "all"},
        {"nbf": 1},
        {"iss": 1},
        {"sub": None},
        {"name": ["alice"]},
        {"aud": ["rdb100"]},
        {"iat": "1"},
        {"iat": True},
        {"exp": 1.5},
        {"jti": "77"},
        {"jti": str(GOOD["jti"]).upper().replace("0", "a")},
        {"jti": f"{{{GOOD['jti']}}}"},
        {"sid": "x"},
        {"sid": None},
    ],
)
def test_one_with_another_claim_is_no_ticket(changed: dict[str, Any]) -> None:
    assert claims_of({**GOOD, **changed}) is None
