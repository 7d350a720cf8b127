"""How a user signed in, and whether all of his groups are there, as claims say it."""

from datetime import UTC, datetime

import pytest

from sessiond.core.authentication_claims import (
    MAX_CONTEXT,
    MAX_CONTEXTS,
    acr_of,
    auth_time_of,
    is_overage,
)

NAN = float("nan")


def test_the_time_of_signing_in_is_in_seconds() -> None:
    assert auth_time_of({"auth_time": 86400}) == datetime(1970, 1, 2, tzinfo=UTC)
    assert auth_time_of({"auth_time": 86400.5}) is not None


@pytest.mark.parametrize("value", [None, True, "86400", -1, NAN, 1e300, 10**400, [1], {}])
def test_what_is_no_such_time_is_none(value: object) -> None:
    assert auth_time_of({"auth_time": value}) is None
    assert auth_time_of({}) is None


@pytest.mark.parametrize(
    ("claims", "contexts"),
    [
        ({}, ()),
        ({"acr": "gold"}, ("gold",)),
        ({"acr": 1, "acrs": None}, ()),
        ({"acr": ["gold"]}, ()),
        ({"acrs": ["c1", "c2", "c1", 3, ""]}, ("c1", "c2")),
        ({"acrs": '["c1", "c2"]'}, ("c1", "c2")),
        ({"acrs": '["c1"'}, ()),
        ({"acrs": '["c1"],"acrs":["c2"]'}, ()),
        ({"acrs": "c1"}, ("c1",)),
        ({"acrs": {"c1": True}}, ()),
        ({"acr": "1", "acrs": ["c1", "1"]}, ("1", "c1")),
        ({"acrs": ['["\ud800"]']}, ('["\ud800"]',)),
        ({"acrs": '["\ud800"]'}, ("?",)),
        ({"acr": "x" * (MAX_CONTEXT + 1)}, ()),
    ],
)
def test_the_contexts_are_those_of_acr_and_of_acrs(
    claims: dict[str, object], contexts: tuple[str, ...]
) -> None:
    assert acr_of(claims) == contexts


def test_not_more_contexts_are_kept_than_anybody_has() -> None:
    assert len(acr_of({"acrs": [str(number) for number in range(5000)]})) == MAX_CONTEXTS


@pytest.mark.parametrize(
    ("claims", "is_it"),
    [
        ({}, False),
        ({"_claim_names": {"groups": "src1"}}, True),
        ({"_claim_names": {"groups": "src1"}, "groups": ["a"]}, False),
        ({"_claim_names": {"groups": "src1"}, "groups": None}, True),
        ({"_claim_names": {"wids": "src1"}}, False),
        ({"_claim_names": "groups"}, False),
        ({"hasgroups": True}, True),
        ({"hasgroups": "true"}, True),
        ({"hasgroups": False}, False),
        ({"hasgroups": True, "groups": []}, False),
    ],
)
def test_groups_are_elsewhere_where_the_claims_say_so(
    claims: dict[str, object], is_it: bool
) -> None:
    assert is_overage(claims) is is_it
