from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.claims import (
    MAX_ATTRIBUTE_SIZE,
    MAX_EXPIRES_IN,
    MAX_WORDS,
    ClaimRules,
    Times,
    check_times,
    times_of,
    verdict_of,
    words_of,
)
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.principal import Principal
from sessiond.core.verdict import Verdict

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
T = int(NOW.timestamp())
LEEWAY = timedelta(seconds=30)
HOUR = timedelta(hours=1)
ALICE = {"preferred_username": "alice@example.com", "sub": "a-1"}


def rules(**members: Any) -> ClaimRules:
    known: dict[str, Any] = {
        "issuer": "corp",
        "user_claim": "preferred_username",
        "subject_claim": "sub",
        "lease": HOUR,
        "roles_claim": ("roles", "scp"),
        "roles": {"kdb.read": "reader", "kdb.write": "writer", "kdb.edit": "writer"},
    }
    return ClaimRules(**known | members)


def verdict(
    claims: dict[str, object],
    by: ClaimRules | None = None,
    *,
    expires_in: float | None = None,
    key_id: str | None = None,
) -> Verdict:
    return verdict_of(
        claims,
        by or rules(),
        times=times_of(claims),
        now=NOW,
        expires_in=expires_in,
        key_id=key_id,
    )


def reason(claims: dict[str, object], by: ClaimRules | None = None) -> Refusal:
    with pytest.raises(TokenRejected) as rejected:
        verdict(claims, by)
    return rejected.value.reason


def attributes(value: object) -> dict[str, str]:
    by = rules(attributes={"department": "user_department"})
    return dict(verdict({**ALICE, "department": value}, by).attributes)


# Who


def test_the_principal_is_issuer_and_subject_called_as_the_claim_spells_it() -> None:
    claims: dict[str, object] = {"upn": "Alice@Example.com", "oid": "o-1", **ALICE}
    assert verdict(claims, rules(user_claim="upn", subject_claim="oid")).principal == Principal(
        issuer="corp", subject="o-1", name="Alice@Example.com"
    )


@pytest.mark.parametrize("claim", ["preferred_username", "sub"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        1,
        True,
        ["alice"],
        {"a": "b"},
        "a" * 257,
        "a\0b",
        "a\nb",
        "ålice",
        "a\u200b",
        "\ud800",
    ],
)
def test_a_name_or_subject_that_is_not_printable_ascii_is_refused(
    claim: str, value: object
) -> None:
    assert reason({**ALICE, claim: value}) == Refusal.MALFORMED


@pytest.mark.parametrize("claim", ["preferred_username", "sub"])
def test_a_missing_name_or_subject_is_refused(claim: str) -> None:
    assert reason({name: value for name, value in ALICE.items() if name != claim}) == (
        Refusal.MALFORMED
    )


# When


def test_dates_are_read_with_their_fractions() -> None:
    assert times_of({"exp": T + 0.5, "nbf": T, "iat": 0}) == Times(
        expires_at=NOW + timedelta(seconds=0.5),
        not_before=NOW,
        issued_at=datetime(1970, 1, 1, tzinfo=UTC),
    )
    assert times_of({}) == Times()


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        str(T),
        [T],
        float("nan"),
        float("inf"),
        float("-inf"),
        -1,
        1e300,
        pytest.param(10**400, id="10**400"),
        253_402_300_800,  # the year 10000
    ],
)
def test_a_date_that_is_no_reasonable_number_is_malformed(claim: str, value: object) -> None:
    assert reason({**ALICE, claim: value}) == Refusal.MALFORMED


def test_the_last_date_that_is_read_has_room_for_the_longest_lease() -> None:
    times = times_of({"exp": 253_000_000_000})
    assert times.expires_at is not None
    assert times.expires_at + timedelta(seconds=MAX_EXPIRES_IN) > times.expires_at


def test_exp_has_no_leeway() -> None:
    check_times(Times(expires_at=NOW + timedelta(microseconds=1)), now=NOW, leeway=LEEWAY)
    with pytest.raises(TokenRejected) as rejected:
        check_times(Times(expires_at=NOW), now=NOW, leeway=LEEWAY)
    assert rejected.value.reason == Refusal.EXPIRED


@pytest.mark.parametrize("name", ["not_before", "issued_at"])
def test_a_begin_is_excused_by_the_leeway_and_no_more(name: str) -> None:
    check_times(Times(**{name: NOW + LEEWAY}), now=NOW, leeway=LEEWAY)
    with pytest.raises(TokenRejected) as rejected:
        check_times(
            Times(**{name: NOW + LEEWAY + timedelta(microseconds=1)}), now=NOW, leeway=LEEWAY
        )
    assert rejected.value.reason == Refusal.NOTYET


def test_a_begin_far_in_the_future_is_not_yet() -> None:
    with pytest.raises(TokenRejected) as rejected:
        check_times(times_of({"nbf": 253_000_000_000}), now=NOW, leeway=LEEWAY)
    assert rejected.value.reason == Refusal.NOTYET


def test_of_two_statements_the_stricter_one_counts() -> None:
    early, late = NOW, NOW + HOUR
    one = Times(expires_at=early, not_before=late, issued_at=late)
    other = Times(expires_at=late, not_before=early, issued_at=early)
    strictest = Times(expires_at=early, not_before=late, issued_at=early)
    assert one.narrowed(other) == other.narrowed(one) == strictest
    assert one.narrowed(Times()) == Times().narrowed(one) == one


def test_the_lease_runs_from_iat_to_the_earlier_of_exp_and_expires_in() -> None:
    claims: dict[str, object] = {**ALICE, "iat": T - 60, "exp": T + 600}
    told = verdict(claims, expires_in=300)
    assert told.lease.issued_at == NOW - timedelta(seconds=60)
    assert told.lease.expires_at == NOW + timedelta(seconds=300)
    assert told.stated_iat == NOW - timedelta(seconds=60)
    assert verdict(claims, expires_in=6000).lease.expires_at == NOW + timedelta(seconds=600)


def test_without_any_statement_the_lease_has_the_configured_length() -> None:
    told = verdict({**ALICE})
    assert (told.lease.issued_at, told.lease.expires_at) == (NOW, NOW + HOUR)
    assert told.stated_iat is None


@pytest.mark.parametrize("expires_in", [0, -1, -1e300])
def test_an_expires_in_that_leaves_nothing_is_expired(expires_in: float) -> None:
    with pytest.raises(TokenRejected) as rejected:
        verdict({**ALICE}, expires_in=expires_in)
    assert rejected.value.reason == Refusal.EXPIRED


def test_an_expires_in_beyond_all_bounds_is_the_longest_there_is() -> None:
    told = verdict({**ALICE}, expires_in=1e300)
    assert told.lease.expires_at == NOW + timedelta(seconds=MAX_EXPIRES_IN)


def test_a_lease_that_is_over_is_expired() -> None:
    assert reason({**ALICE, "iat": T - 7200}) == Refusal.EXPIRED
    assert reason({**ALICE, "exp": T}) == Refusal.EXPIRED


def test_the_key_that_signed_is_kept() -> None:
    assert verdict({**ALICE}, key_id="k1").key_id == "k1"


# Roles


def test_roles_are_those_the_claims_name_in_strings_and_lists() -> None:
    claims: dict[str, object] = {**ALICE, "roles": ["kdb.read", "kdb.read"], "scp": "x  kdb.edit"}
    assert verdict(claims).roles == ("reader", "writer")


@pytest.mark.parametrize(
    "value", [None, True, 7, {"kdb.read": "x"}, [["kdb.read"]], "KDB.READ", "kdb.read\u00a0x", [1]]
)
def test_what_names_no_known_role_grants_none(value: object) -> None:
    assert verdict({**ALICE, "roles": value}).roles == ()


def test_an_element_of_a_list_is_not_split() -> None:
    assert verdict({**ALICE, "roles": ["kdb.read kdb.write"]}).roles == ()


def test_default_roles_are_added() -> None:
    by = rules(default_roles=("guest", "reader"))
    assert verdict({**ALICE, "roles": ["kdb.read"]}, by).roles == ("guest", "reader")


def test_where_a_role_is_required_a_login_without_one_is_refused() -> None:
    by = rules(require_role=True, default_roles=("guest",))
    assert reason({**ALICE, "roles": ["unknown"]}, by) == Refusal.NOROLES
    assert verdict({**ALICE, "roles": ["kdb.read"]}, by).roles == ("guest", "reader")


def test_a_pointer_names_a_claim_inside_of_others() -> None:
    by = rules(
        roles_claim=("/realm_access/roles", "/resource_access/kdb~1prod/roles"),
        attributes={"/address/locality": "city"},
    )
    claims: dict[str, object] = {
        **ALICE,
        "realm_access": {"roles": ["kdb.read"]},
        "resource_access": {"kdb/prod": {"roles": ["kdb.edit"]}},
        "address": {"locality": "Zug"},
    }
    assert verdict(claims, by).roles == ("reader", "writer")
    assert verdict(claims, by).attributes == {"city": "Zug"}


@pytest.mark.parametrize(
    "held", [None, "kdb.read", ["kdb.read"], [{"roles": ["kdb.read"]}], {"Roles": ["kdb.read"]}]
)
def test_a_pointer_to_what_is_not_there_grants_nothing(held: object) -> None:
    by = rules(roles_claim=("/realm_access/roles",))
    assert verdict({**ALICE, "realm_access": held}, by).roles == ()


def test_a_claim_whose_name_has_dots_is_no_path() -> None:
    by = rules(roles_claim=("https://example.com/roles",))
    assert verdict({**ALICE, "https://example.com/roles": ["kdb.read"]}, by).roles == ("reader",)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_words_are_never_anything_but_strings(value: object) -> None:
    assert all(isinstance(word, str) for word in words_of(value))


@pytest.mark.parametrize("between", [" ", "  "])
def test_words_beyond_the_bound_are_not_read(between: str) -> None:
    many = ["w"] * (MAX_WORDS + 7)
    assert len(words_of(many)) == MAX_WORDS
    assert len(words_of(between.join(many))) == MAX_WORDS // len(between)


# Attributes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Equities", "Equities"),
        ("Müller", "Müller"),
        ("", ""),
        (["a", "b c"], "a b c"),
        ([1, True, "x"], "1 true x"),
        ([], ""),
        (7, "7"),
        (2.5, "2.5"),
        (1e22, "1e+22"),
        (True, "true"),
        (False, "false"),
        ("x" * MAX_ATTRIBUTE_SIZE, "x" * MAX_ATTRIBUTE_SIZE),
        ([""] * (MAX_ATTRIBUTE_SIZE + 1), " " * MAX_ATTRIBUTE_SIZE),
    ],
)
def test_an_attribute_is_the_claim_as_text(value: object, text: str) -> None:
    assert attributes(value) == {"user_department": text}


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": 1},
        [["a"]],
        ["a", None],
        [{"a": 1}],
        "a\nb",
        "a\0",
        "\x1b[2J",
        "a\u200bb",
        "a\u2028b",
        "\ud800",
        "x" * (MAX_ATTRIBUTE_SIZE + 1),
        ["x" * 100] * MAX_ATTRIBUTE_SIZE,
        [""] * (MAX_ATTRIBUTE_SIZE + 2),
    ],
)
def test_what_is_no_plain_printable_text_is_left_out(value: object) -> None:
    assert attributes(value) == {}


def test_a_list_is_read_no_further_than_an_attribute_may_be_long() -> None:
    class Unread(str):
        def __len__(self) -> int:
            raise AssertionError("looked at")

    assert attributes(["x" * MAX_ATTRIBUTE_SIZE, "", Unread()]) == {}


def test_an_absent_claim_makes_no_attribute() -> None:
    assert verdict({**ALICE}, rules(attributes={"department": "d"})).attributes == {}
