"""What a process that follows is told of one person, and under which name."""

from sessiond.core.access import AccessRules, Ceiling, LocalGrant
from sessiond.core.standing import SPELLINGS, Spellings, Standing, standing_at
from tests.fakes import principal, process_about, session

ROLES = {"reader": ("claim roles: kdb.read",), "writer": ("claim roles: kdb.write",)}


def test_it_is_what_the_token_gave_under_the_ceiling_of_the_process_that_is_told() -> None:
    rules = AccessRules(ceilings=(Ceiling(roles=("read*",), estate=True),))
    alice = session(principal=principal("Alice"), roles=("writer",), assigned=ROLES)
    expected = Standing("Alice", ("reader",), {"desk": "rates"})
    assert standing_at(rules, process_about(), alice) == expected


def test_a_grant_of_the_operators_counts_there_too() -> None:
    rules = AccessRules(
        protected=("admin",),
        grants=(LocalGrant(users=("alice",), roles=("admin",)),),
        ceilings=(Ceiling(estate=True),),
    )
    told = standing_at(rules, process_about(), session(assigned={"admin": ("claim roles: admin",)}))
    assert told is not None
    assert told.roles == ("admin",)


def test_whom_the_ceiling_keeps_out_is_nobody_there() -> None:
    rules = AccessRules(ceilings=(Ceiling(users=("bob",), estate=True),))
    assert standing_at(rules, process_about(), session()) is None


def test_whom_the_ceiling_leaves_no_role_is_nobody_there() -> None:
    rules = AccessRules(ceilings=(Ceiling(roles=("writer",), estate=True),))
    assert standing_at(rules, process_about(), session()) is None


def typed(name: str, verified: str = "alice") -> str:
    return Spellings().told_as(session(typed=name, principal=principal(verified)))


def test_a_login_is_told_as_it_was_typed() -> None:
    assert typed("ALICE") == "ALICE"
    assert typed("alice") == "alice"


def test_a_name_has_so_many_spellings_and_beyond_them_the_verified_one() -> None:
    spellings, name = Spellings(), "a" * 10
    every = [name[:at] + name[at:].upper() for at in range(10)]
    for _ in range(2):  # each is always told the same, whatever came meanwhile
        told = [spellings.told_as(session(typed=each, principal=principal(name))) for each in every]
        assert told == [*every[:SPELLINGS], name, name]


def test_the_spellings_of_one_name_take_none_from_another() -> None:
    spellings = Spellings()
    for at in range(12):
        of_alice = session(typed="a" * at + "A" * (12 - at), principal=principal("a" * 12))
        spellings.told_as(of_alice)
    assert spellings.told_as(session(typed="BOB", principal=principal("bob"))) == "BOB"
