"""What a principal's roles come to at a process."""

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.access import (
    MAX_SHARED,
    Access,
    AccessRules,
    Ceiling,
    Denied,
    LocalGrant,
    access_at,
    access_by,
    shortage_of,
    stepup_of,
)
from sessiond.core.errors import Refusal
from sessiond.core.evidence import Evidence
from sessiond.core.principal import folded
from sessiond.core.session import ProcessAbout
from tests.fakes import HOUR, START, principal, verdict

GATEWAY = ProcessAbout(name="Gateway1", type="gateway", host="h", pid=1)
RDB = ProcessAbout(name="rdb1", type="rdb", host="h", pid=2)
TRADER: Evidence = {"trader": ("claim roles: kdb.trade",)}


def rules(*ceilings: Ceiling, **members: object) -> AccessRules:
    return AccessRules(ceilings=ceilings, **members)  # type: ignore[arg-type]


def access(by: AccessRules, assigned: Evidence, *, at: ProcessAbout = GATEWAY) -> Access:
    found = access_at(by, at, principal(), assigned)
    assert isinstance(found, Access), found
    return found


def denied(by: AccessRules, assigned: Evidence, *, at: ProcessAbout = GATEWAY) -> Denied:
    found = access_at(by, at, principal(), assigned)
    assert isinstance(found, Denied), found
    return found


def test_without_rules_a_user_has_what_is_assigned() -> None:
    given = {"writer": ("verifier",), "reader": ("default_roles",)}
    found = access(rules(), given)
    assert found.roles == ("reader", "writer")
    assert (found.because.roles, found.because.cut) == (given, ())
    assert (found.assigned, found.ceiling) == (given, None)
    assert access(rules(), {}).roles == ()


def test_a_protected_role_comes_from_the_operator_alone() -> None:
    given: Evidence = {"ADMIN": ("claim roles: x",), **TRADER}
    by = rules(protected=("admin", "super*"))
    assert (access(by, given).roles, access(by, given).protected) == (("trader",), ("ADMIN",))
    grant = LocalGrant(users=("ALICE",), roles=("admin", "trader"))
    found = access(replace(by, grants=(grant,)), given)
    assert found.roles == ("admin", "trader")
    assert found.because.roles == {
        "trader": ("claim roles: kdb.trade", "access.grant[1]"),
        "admin": ("access.grant[1]",),
    }


@pytest.mark.parametrize(
    "grant",
    [
        LocalGrant(users=("bob",), roles=("admin",)),
        LocalGrant(users=("*",), issuers=("bank*",), roles=("admin",)),
        LocalGrant(users=("*",), roles=()),
        LocalGrant(users=(), roles=("admin",)),
    ],
)
def test_a_grant_is_for_the_users_and_issuers_that_it_names(grant: LocalGrant) -> None:
    assert access(rules(grants=(grant,)), TRADER).roles == ("trader",)


def test_the_first_ceiling_that_matches_a_process_counts() -> None:
    by = rules(
        Ceiling(name="gateway*", type="GATE*", roles=("trad*",)),
        Ceiling(name="*", type="rdb", roles=("reader",)),
    )
    given: Evidence = {**TRADER, "reader": ("verifier",)}
    assert by.ceiling_of(GATEWAY) is by.ceilings[0]
    assert access(by, given).roles == ("trader",)
    assert access(by, given).because.cut == ("reader",)
    assert access(by, given, at=RDB).roles == ("reader",)
    other = replace(RDB, type="hdb")
    assert by.ceiling_of(other) is None
    assert access(by, given, at=other).roles == ("reader", "trader")


def test_types_are_told_apart_where_a_ceiling_of_that_name_asks_for_one() -> None:
    by = AccessRules(ceilings=(Ceiling(name="rdb*", type="rdb"), Ceiling(name="gw*")))
    assert by.tells_types_apart("RDB1")
    assert not by.tells_types_apart("gw1")


def test_who_may_not_log_in_there_hears_where_he_is() -> None:
    by = rules(Ceiling(users=("bob", "ops*")), Ceiling())
    found = denied(by, TRADER)
    assert found.reason is Refusal.NOTALLOWED
    assert '"alice"' in found.detail
    assert '"Gateway1"' in found.detail
    assert denied(rules(Ceiling(issuers=("bank",))), TRADER).reason is Refusal.NOTALLOWED
    assert access(rules(Ceiling(users=("ALICE",), issuers=("CORP",))), TRADER).roles == ("trader",)


def test_who_is_left_with_none_of_some_roles_is_refused_and_who_had_none_is_not() -> None:
    by = rules(Ceiling(name="g*", roles=("reader",)))
    found = denied(by, TRADER)
    assert found.reason is Refusal.NOROLES
    assert '"trader"' in found.detail
    assert '"g*"' in found.detail
    assert access(by, {}).roles == ()
    admin: Evidence = {"admin": ("verifier",)}
    assert "protected_roles" in denied(rules(protected=("admin",)), admin).detail
    both = denied(rules(Ceiling(roles=()), protected=("admin",)), {**admin, **TRADER})
    assert "admin" in both.detail
    assert "trader" in both.detail
    granted = LocalGrant(users=("*",), roles=("admin",))
    assert denied(rules(Ceiling(roles=()), grants=(granted,)), {}).reason is Refusal.NOROLES


@pytest.mark.parametrize(
    ("given", "grants", "is_enough"),
    [
        ({}, (), False),
        ({"all": ("default_roles",)}, (), False),
        ({"all": ("claim roles: all", "default_roles")}, (), True),
        (TRADER, (), True),
        ({"admin": ("claim roles: x",), "all": ("default_roles",)}, (), False),
        ({}, (LocalGrant(users=("alice",), roles=("admin",)),), True),
    ],
)
def test_where_a_role_is_required_somebody_must_have_given_one(
    given: Evidence, grants: tuple[LocalGrant, ...], is_enough: bool
) -> None:
    by = rules(required=frozenset({"corp"}), protected=("admin",), grants=grants)
    found = access_at(by, GATEWAY, principal(), given)
    assert isinstance(found, Access) is is_enough
    says = verdict(roles=()).assigning(given)
    short = shortage_of(by, says)
    assert (short is None) is is_enough
    assert short is None or short.reason is Refusal.NOROLES
    assert isinstance(access_by(by, GATEWAY, says), Access) is is_enough
    assert isinstance(access_at(by, GATEWAY, principal(issuer="bank"), TRADER), Access)


def test_who_lacks_a_required_role_hears_what_his_token_holds() -> None:
    by = rules(required=frozenset({"corp"}), protected=("admin",))
    says = replace(verdict(roles=()), claims_hold='"roles" hold ["clerk"]')
    short = shortage_of(by, says)
    assert short is not None
    assert short.detail.startswith('"roles" hold ["clerk"], wanted a value that [issuer.roles]')
    protected = shortage_of(by, verdict(roles=("admin",)))
    assert protected is not None
    assert '["admin"] (protected_roles)' in protected.detail


def test_a_user_whose_groups_are_elsewhere_is_never_let_in_with_fewer_roles() -> None:
    says = replace(verdict(), overage=True)
    found = access_by(rules(), GATEWAY, says)
    assert isinstance(found, Denied)
    assert found.reason is Refusal.NOROLES
    assert "groups overage" in found.detail


def test_whoever_comes_to_the_same_has_the_same_object() -> None:
    by = rules(Ceiling(name="gateway*"), grants=(LocalGrant(users=("a*",), roles=("x",)),))
    one = access_at(by, GATEWAY, principal("alice"), dict(TRADER))
    other = access_at(by, replace(GATEWAY, pid=9), principal("anna"), dict(TRADER))
    assert one is other
    assert access_at(by, GATEWAY, principal("bob"), dict(TRADER)) is not one
    many = {str(number): ("verifier",) for number in range(MAX_SHARED + 1)}
    assert access(by, many) == access(by, dict(many))
    assert access(by, many) is not access(by, many)


class Compared(str):
    """A role that counts how often it is compared."""

    __slots__ = ()
    __hash__ = str.__hash__
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)


@pytest.mark.parametrize("number", [200, 400])
def test_twice_as_many_roles_take_twice_as_long(number: int) -> None:
    Compared.times = 0
    many: dict[str, tuple[str, ...]] = {Compared(each): ("verifier",) for each in range(number)}
    by = rules(Ceiling(roles=("reader", "1*")), protected=("2*",))
    assert isinstance(access(by, many), Access)
    assert Compared.times < 4 * number


# How the user signed in


def stepup(ceiling: Ceiling, **said: object) -> str:
    says = replace(verdict(), **said)  # type: ignore[arg-type]
    found = stepup_of(rules(ceiling), GATEWAY, says, now=START)
    assert found is None or found.reason is Refusal.STEPUP
    return "" if found is None else found.detail


def test_where_nothing_is_asked_anybody_may_have_signed_in_anyhow() -> None:
    assert stepup(Ceiling()) == ""
    assert stepup(Ceiling(name="rdb*", max_age=HOUR)) == ""


def test_a_sign_in_is_to_be_as_young_as_the_process_asks() -> None:
    ceiling, second = Ceiling(max_age=HOUR), timedelta(seconds=1)
    assert stepup(ceiling, auth_time=START - HOUR) == ""
    assert stepup(ceiling, auth_time=START + 30 * second) == ""
    assert "wanted one 3600 s ago" in stepup(ceiling, auth_time=START - HOUR - second)
    assert "claim auth_time" in stepup(ceiling)


def test_a_time_in_the_future_is_not_young_for_ever() -> None:
    assert "auth_time is" in stepup(Ceiling(max_age=HOUR), auth_time=START + timedelta(seconds=31))


def test_a_sign_in_is_to_be_of_a_kind_that_the_process_accepts() -> None:
    ceiling = Ceiling(acr=("gold", "c1"))
    assert stepup(ceiling, acr=("silver", "c1")) == ""
    assert 'acr is ["silver"], wanted "c1" or "gold"' in stepup(ceiling, acr=("silver",))
    assert "acr is []" in stepup(ceiling)
    both = replace(ceiling, max_age=HOUR)
    assert stepup(both, acr=("gold",), auth_time=START) == ""
    assert "acr" in stepup(both, auth_time=START)


# The algebra

ROLES = ("admin", "Admin", "reader", "trader", "ops")
PATTERNS = ("*", "admin", "ADM*", "reader", "tr?der", "[or]*")
patterns = st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple)
roles = st.lists(st.sampled_from(ROLES), max_size=3, unique=True).map(tuple)
users = st.sampled_from([("*",), ("alice",), ("bob",), ("A*",), ()])
whys = st.sampled_from([("claim roles: x",), ("role source ldap",), ("default_roles",)])
grants = st.builds(LocalGrant, users=users, issuers=st.just(("*",)), roles=roles)
ceilings = st.builds(
    Ceiling,
    name=st.sampled_from(["*", "gateway*", "rdb*"]),
    users=users,
    roles=patterns,
)
every_rules = st.builds(
    AccessRules,
    protected=patterns,
    grants=st.lists(grants, max_size=3).map(tuple),
    ceilings=st.lists(ceilings, max_size=2).map(tuple),
    required=st.sampled_from([frozenset(), frozenset({"corp"})]),
)
every_evidence = st.dictionaries(st.sampled_from(ROLES), whys)


def is_any(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(folded(text), folded(each)) for each in patterns)


@given(by=every_rules, given=every_evidence)
def test_roles_are_given_and_not_protected_or_granted_here_and_under_the_ceiling(
    by: AccessRules, given: dict[str, tuple[str, ...]]
) -> None:
    granted = {r for each in by.grants if is_any("alice", each.users) for r in each.roles}
    before = {role for role in given if not is_any(role, by.protected)} | granted
    ceiling = next((each for each in by.ceilings if is_any("gateway1", (each.name,))), None)
    under = {role for role in before if ceiling is None or is_any(role, ceiling.roles)}
    found = access_at(by, GATEWAY, principal(), given)
    if isinstance(found, Access):
        assert found.roles == tuple(sorted(under))
        assert set(found.because.roles) == before
        assert found.because.cut == tuple(sorted(before - under))
        for role, whys in found.because.roles.items():
            assert whys
            assert not is_any(role, by.protected) or all("access.grant[" in why for why in whys)
    elif found.reason is Refusal.NOTALLOWED:
        assert ceiling is not None
        assert not is_any("alice", ceiling.users)
    else:
        assert found.reason is Refusal.NOROLES
        is_short = by.required and not granted
        assert is_short or (not under and (given or granted))
