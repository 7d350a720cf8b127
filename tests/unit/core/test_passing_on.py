"""Which roles a ticket passes on."""

from msgspec import structs

from sessiond.core.access import ANY, Access, AccessRules, Because, Ceiling, Denied, LocalGrant
from sessiond.core.errors import Refusal
from sessiond.core.passing_on import access_anew, access_of, passed_on
from sessiond.core.session import Session, SessionId
from tests.fakes import process_about, session, session_id

RDB = process_about(200)
GIVEN: dict[str, tuple[str, ...]] = {"reader": ("claim roles: r",), "trader": ("claim roles: t",)}
PARENT = session(1, roles=("reader", "trader"), assigned=GIVEN)
CHILD = session(2, about=RDB, parent=session_id(1), hops=1, assigned=GIVEN)
OPEN = AccessRules()


def at(roles: tuple[str, ...]) -> AccessRules:
    return AccessRules(ceilings=(Ceiling(name="rdb200", roles=roles),))


def found(rules: AccessRules, parent: Session = PARENT) -> Access:
    access = passed_on(rules, RDB, parent)
    assert isinstance(access, Access), access
    return access


def refusal(rules: AccessRules, parent: Session = PARENT) -> Refusal:
    access = passed_on(rules, RDB, parent)
    assert isinstance(access, Denied), access
    return access.reason


def test_all_that_the_parent_has_passes_on_where_there_is_room() -> None:
    assert found(OPEN).roles == ("reader", "trader")
    assert found(at(("reader",))).roles == ("reader",)
    assert found(at(("reader",))).because == Because(roles=GIVEN, cut=("trader",))


def test_nothing_that_the_parent_has_not_passes_on_whatever_its_token_says() -> None:
    cut = structs.replace(PARENT, roles=("reader",))  # by the ceiling there
    assert found(OPEN, cut).roles == ("reader",)
    assert found(OPEN, cut).because == Because(roles={"reader": GIVEN["reader"]})
    assert found(OPEN, cut).assigned == GIVEN  # of which a process that follows is told


def test_what_the_ceiling_there_has_cut_is_not_said_to_be_cut_here() -> None:
    cut = structs.replace(PARENT, roles=("reader",))
    assert found(at(("reader",)), cut).because.cut == ()


def test_a_granted_role_passes_on_while_it_is_granted_still() -> None:
    admin = (LocalGrant(users=("alice",), roles=("admin",)),)
    parent = structs.replace(PARENT, roles=("admin", "reader", "trader"))
    assert "admin" in found(AccessRules(grants=admin), parent).roles
    assert found(OPEN, parent).roles == ("reader", "trader")
    assert "admin" not in found(AccessRules(grants=admin)).roles  # the parent has it not yet


def test_who_would_have_no_role_left_is_refused() -> None:
    assert refusal(at(("nobody",))) is Refusal.NOROLES
    cut = structs.replace(PARENT, roles=("reader",))
    assert refusal(at(("trader",)), cut) is Refusal.NOROLES


def test_who_never_had_a_role_has_none_there_either() -> None:
    bare = session(1, roles=(), assigned={})
    assert found(at(("nobody",)), bare).roles == ()
    late = AccessRules(grants=(LocalGrant(users=ANY, roles=("admin",)),))
    assert found(late, bare).roles == ()


def test_who_is_not_admitted_there_is_refused() -> None:
    shut = AccessRules(ceilings=(Ceiling(name="rdb200", users=("bob",)),))
    assert refusal(shut) is Refusal.NOTALLOWED


def test_a_session_that_no_ticket_brought_is_bound_by_no_parent() -> None:
    websocket = structs.replace(CHILD, hops=0)
    nobody: dict[SessionId, Session] = {}
    access = access_of(OPEN, websocket, nobody.get)
    assert isinstance(access, Access)
    assert access.roles == ("reader", "trader")
    assert access_anew(OPEN, websocket, nobody.get) == access


def test_an_orphan_may_do_nothing() -> None:
    nobody: dict[SessionId, Session] = {}
    for judged in (access_of, access_anew):
        access = judged(OPEN, CHILD, nobody.get)
        assert isinstance(access, Denied)
        assert access.reason is Refusal.REVOKED


def test_by_rules_to_come_the_parent_is_judged_too() -> None:
    live = {PARENT.id: PARENT}
    gateway = AccessRules(ceilings=(Ceiling(name="rdb100", roles=("reader",)),))
    now, then = access_of(gateway, CHILD, live.get), access_anew(gateway, CHILD, live.get)
    assert isinstance(now, Access)
    assert isinstance(then, Access)
    assert (now.roles, then.roles) == (("reader", "trader"), ("reader",))
    shut = AccessRules(ceilings=(Ceiling(name="rdb100", users=("bob",)),))
    assert isinstance(access_anew(shut, CHILD, live.get), Denied)
