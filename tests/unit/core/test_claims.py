from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.claim_values import MAX_ATTRIBUTE_SIZE
from sessiond.core.claims import (
    MAX_COMPARED,
    MAX_EXPIRES_IN,
    MAX_NAMED,
    ClaimRules,
    Times,
    check_times,
    times_of,
    verdict_of,
)
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.evidence import MAX_SAID, MAX_WHY, MAX_WHYS
from sessiond.core.principal import Principal, is_name
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
        [],
        ["alice", "bob"],
        [["alice"]],
        [1],
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


def test_a_list_of_exactly_one_text_is_the_name_and_a_pointer_finds_one_inside() -> None:
    b2c: dict[str, object] = {"sub": "s-1", "emails": ["alice@example.com"]}
    assert verdict(b2c, rules(user_claim="emails")).principal.name == "alice@example.com"
    nested: dict[str, object] = {"ext": {"user/name": "alice", "id": "s-1"}}
    by = rules(user_claim="/ext/user~1name", subject_claim="/ext/id")
    assert verdict(nested, by).principal == Principal(issuer="corp", subject="s-1", name="alice")


def test_a_subject_in_a_list_is_none() -> None:
    assert reason({**ALICE, "sub": ["s-1"]}) == Refusal.MALFORMED


def refused(claims: dict[str, object], by: ClaimRules | None = None) -> str:
    with pytest.raises(TokenRejected) as rejected:
        verdict(claims, by)
    return rejected.value.detail


def test_a_missing_claim_is_named_beside_those_that_are_there() -> None:
    said = refused({"sub": "a-1", "upn": "alice", "x\n": 1})
    assert said.startswith(
        'there is no claim "preferred_username", only "sub", "upn", "x\\n", wanted '
    )
    assert said.endswith("set user_claim to another")
    assert "set subject_claim" in refused({"preferred_username": "alice"})
    assert "only none at all, wanted " in refused({})
    assert refused({f"claim{number:02}": 1 for number in range(50)}).count("claim") == 14


def test_however_many_claims_there_are_few_are_made_fit_to_be_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = list[object]()

    def counted(value: object) -> str:
        shown.append(value)
        return "a claim"

    monkeypatch.setattr("sessiond.core.claims.seen", counted)
    refused({f"claim{number}": 1 for number in range(4000)})
    assert len(shown) < 20


def test_a_value_that_is_no_name_is_shown() -> None:
    assert refused({**ALICE, "preferred_username": "\u0430lice"}).startswith(
        'preferred_username is "\\u0430lice", wanted 1 to 256 printable ASCII bytes (user_claim): '
    )


# Whose an e-mail address is

EMAIL = rules(user_claim="email")
YES: list[object] = [True, "true", 1, "1"]
NO: list[object] = [False, "false", 0, "0", "", "no", [], [True], {}]
silence = st.sampled_from([{}, {"email_verified": None}, {"xms_edov": None}])


def addressed(**said: object) -> dict[str, object]:
    return {"sub": "a-1", "email": "alice@example.com", **said}


@pytest.mark.parametrize("claim", ["email_verified", "xms_edov"])
@pytest.mark.parametrize("value", YES)
def test_an_address_that_was_verified_is_a_name(claim: str, value: object) -> None:
    assert verdict(addressed(**{claim: value}), EMAIL).principal.name == "alice@example.com"


@pytest.mark.parametrize("claim", ["email_verified", "xms_edov"])
@pytest.mark.parametrize("value", NO)
@pytest.mark.parametrize("unverified_email", [True, False])
def test_an_address_that_is_not_verified_is_never_one(
    claim: str, value: object, unverified_email: bool
) -> None:
    by = rules(user_claim="email", unverified_email=unverified_email)
    said = {"email_verified": True, "xms_edov": True, claim: value}
    assert reason(addressed(**said), by) == Refusal.USERMISMATCH


@given(silence)
def test_silence_about_an_address_is_enough_only_where_it_is_said_so(said: dict[str, None]) -> None:
    assert reason(addressed(**said), EMAIL) == Refusal.MALFORMED
    assert reason(addressed(**said), rules(user_claim="/email")) == Refusal.MALFORMED
    by = rules(user_claim="email", unverified_email=True)
    assert verdict(addressed(**said), by).principal.name == "alice@example.com"


@pytest.mark.parametrize("value", [*YES, *NO, None])
@pytest.mark.parametrize("is_beside", [True, False])
def test_an_address_inside_of_an_object_is_asked_about_there_and_at_the_top(
    value: object, is_beside: bool
) -> None:
    inner, outer = {"email": "alice@example.com"}, {"email_verified": value}
    ext = {**inner, **outer} if is_beside else inner
    claims = {"sub": "a-1", "ext": ext, **({} if is_beside else outer)}
    by = rules(user_claim="/ext/email")
    if any(value is each for each in YES):
        assert verdict(claims, by).principal.name == "alice@example.com"
    elif value is None:
        assert reason(claims, by) == Refusal.MALFORMED
    else:
        assert reason(claims, by) == Refusal.USERMISMATCH


def test_of_other_names_nobody_asks_whether_they_are_addresses() -> None:
    assert verdict({**ALICE, "email_verified": False}).principal.subject == "a-1"
    slashed = {"sub": "a-1", "https://example.com/email": "alice", "email_verified": False}
    by = rules(user_claim="https://example.com/email")
    assert verdict(slashed, by).principal.name == "alice"


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


def test_a_refusal_by_time_says_both_times() -> None:
    late = {**ALICE, "exp": T - 60}
    with pytest.raises(TokenRejected) as rejected:
        check_times(times_of(late), now=NOW, leeway=LEEWAY)
    assert rejected.value.detail.startswith(
        "exp was 2026-03-02T08:59:00+00:00, wanted one after 2026-03-02T09:00:00+00:00"
    )
    with pytest.raises(TokenRejected, match=r"nbf is 2026-03-02T10:00:00.*before 2026-03-02T09:00"):
        check_times(times_of({"nbf": T + 3600}), now=NOW, leeway=LEEWAY)
    with pytest.raises(TokenRejected, match=r'exp is "soon", wanted a number of seconds'):
        times_of({"exp": "soon"})
    with pytest.raises(TokenRejected, match=r"exp is 1772442000000, .*not milliseconds"):
        times_of({"exp": T * 1000})


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
    "value",
    [None, True, 7, {"kdb.read": False}, [["kdb.read"]], "KDB.READ", "kdb.read\u00a0x", [1]],
)
def test_what_names_no_known_role_grants_none(value: object) -> None:
    assert verdict({**ALICE, "roles": value}).roles == ()


def test_an_element_of_a_list_is_not_split() -> None:
    assert verdict({**ALICE, "roles": ["kdb.read kdb.write"]}).roles == ()


def test_default_roles_are_added() -> None:
    by = rules(default_roles=("guest", "reader"))
    assert verdict({**ALICE, "roles": ["kdb.read"]}, by).roles == ("guest", "reader")


def test_each_role_is_given_for_a_reason() -> None:
    by = rules(default_roles=("guest", "reader"), role_names=("kdb-*",))
    held: dict[str, object] = {"roles": ["kdb.edit", "kdb.write", "kdb-x"], "scp": "kdb.read kdb-x"}
    assert verdict({**ALICE, **held}, by).assigned == {
        "guest": ("default_roles",),
        "kdb-x": ("claim roles: kdb-x",),
        "reader": ("claim scp: kdb.read", "default_roles"),
        "writer": ("claim roles: kdb.edit", "claim roles: kdb.write"),
    }


def test_no_more_is_said_of_a_role_than_can_be_kept() -> None:
    values = [f"{number:03}-{'x' * 996}\n" for number in range(300)]
    by = rules(roles=dict.fromkeys(values, "reader"), default_roles=("reader",))
    (whys,) = verdict({**ALICE, "roles": values}, by).assigned.values()
    assert len(whys) == MAX_WHYS
    assert whys[-1] == "default_roles"
    assert all(len(why) <= MAX_WHY and why.isprintable() for why in whys)


def test_no_role_is_left_out_where_too_much_is_to_be_said_of_all() -> None:
    values = [f"{number:03}-{'x' * 200}" for number in range(300)]
    by = rules(roles={}, role_names=("*",), roles_claim=("roles",))
    said = verdict({**ALICE, "roles": values}, by)
    assert said.roles == tuple(sorted(values)) == tuple(said.assigned)
    assert sum(len(why) for whys in said.assigned.values() for why in whys) <= MAX_SAID


def test_the_names_of_an_objects_members_grant_roles_too() -> None:
    """Zitadel: zitadel.com/docs/apis/openidoauth/claims, urn:zitadel:iam:org:project:roles."""
    by = rules(roles_claim=("urn:zitadel:iam:org:project:roles",))
    held = {"kdb.read": {"2069": "corp.example"}, "kdb.write": None}
    assert verdict({**ALICE, "urn:zitadel:iam:org:project:roles": held}, by).roles == ("reader",)


def test_a_value_that_matches_a_pattern_is_a_role_of_the_same_name() -> None:
    by = rules(role_names=("kdb-*", "desk[12]"), roles={"kdb-read": "reader"})
    held = ["kdb-read", "kdb-Write", "KDB-x", "desk1", "desk3", "x kdb-y", "kdb-\u0430", "kdb- "]
    assert verdict({**ALICE, "roles": held}, by).roles == ("desk1", "kdb-Write", "reader")
    assert verdict({**ALICE, "scp": "kdb-a kdb-b"}, by).roles == ("kdb-a", "kdb-b")
    assert verdict({**ALICE, "roles": ["KDB-x"]}, by).roles == ()


@given(
    values=st.lists(st.text(max_size=9) | st.sampled_from(["kdb-a", "kdb-b", "desk"]), max_size=30),
    patterns=st.lists(st.sampled_from(["kdb-*", "*", "?esk", "[a-z]*"]), max_size=3),
)
def test_no_role_comes_from_a_pattern_that_does_not_match_it(
    values: list[str], patterns: list[str]
) -> None:
    by = rules(role_names=tuple(patterns), roles={}, roles_claim=("roles",))
    for role in verdict({**ALICE, "roles": list(values)}, by).roles:
        assert role in values
        assert is_name(role)
        assert any(fnmatchcase(role, pattern) for pattern in patterns)


@pytest.mark.parametrize("patterns", [1, 4, 16])
def test_values_are_compared_with_patterns_at_a_bounded_cost(patterns: int) -> None:
    by = rules(role_names=("r*",) * patterns, roles={"last": "last"})
    many = [f"r{number:089}" for number in range(MAX_COMPARED // 100 + 7)]
    granted = verdict({**ALICE, "roles": [*many, "last"]}, by).roles
    assert len(granted) == min(MAX_NAMED, MAX_COMPARED // 100 // patterns) + 1
    assert "last" in granted


def test_an_issuer_names_no_more_roles_than_a_session_may_have() -> None:
    by = rules(role_names=("*",), roles={"last": "last"}, roles_claim=("roles",))
    many = [f"{number}" for number in range(4000)]
    granted = verdict({**ALICE, "roles": [*many, "last"]}, by).roles
    assert set(granted) == {*many[:MAX_NAMED], "last"}


def test_where_no_claim_gives_a_role_the_verdict_says_what_there_was() -> None:
    by = rules(default_roles=("guest",))
    said = verdict({**ALICE, "roles": ["clerk"], "scp": "openid"}, by)
    assert said.claims_hold == '"roles" or "scp" hold ["clerk", "openid"]'
    assert verdict({**ALICE, "roles": ["kdb.read"]}, by).claims_hold == ""


def test_a_verdict_says_when_and_how_its_user_signed_in() -> None:
    said = verdict({**ALICE, "auth_time": T - 60, "acr": "gold"})
    assert (said.auth_time, said.acr) == (NOW - timedelta(seconds=60), ("gold",))
    assert (verdict({**ALICE}).auth_time, verdict({**ALICE}).acr) == (None, ())


@pytest.mark.parametrize(
    ("read", "is_it"), [(("groups",), True), (("/groups",), True), (("roles",), False)]
)
def test_groups_that_are_elsewhere_matter_where_they_are_read(
    read: tuple[str, ...], is_it: bool
) -> None:
    claims: dict[str, object] = {**ALICE, "_claim_names": {"groups": "src1"}}
    assert verdict(claims, rules(roles_claim=read, default_roles=("all",))).overage is is_it


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
