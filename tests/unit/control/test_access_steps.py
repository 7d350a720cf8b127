"""Why a session has its roles; the steps of a login are proved in test_explain.py too."""

from msgspec import structs

from sessiond.control.access_steps import because_of, steps_of
from sessiond.core.access import AccessRules, Because, Ceiling
from sessiond.core.errors import Refusal
from sessiond.core.session import Session, SessionId
from tests.fakes import START, process_about, session, verdict

NOBODY: dict[SessionId, Session] = {}
CUT = AccessRules(ceilings=(Ceiling(name="rdb*", roles=("trader",)),))


def test_a_session_s_reasons_are_those_of_the_rules_of_now() -> None:
    held = structs.replace(session(1), assigned={"reader": ("a",), "trader": ("b",)})
    assert because_of(CUT, held, NOBODY.get) == Because(
        roles={"reader": ("a",), "trader": ("b",)}, cut=("reader",)
    )


def test_who_is_not_admitted_any_more_has_none() -> None:
    shut = AccessRules(ceilings=(Ceiling(name="rdb*", users=("bob",)),))
    assert because_of(shut, session(1), NOBODY.get) == Because()


def test_what_a_ceiling_leaves_is_nobody_s_where_it_leaves_nothing() -> None:
    found = steps_of(CUT, process_about(), verdict(roles=("reader",)), now=START)
    assert found.denied is not None
    assert found.denied.reason is Refusal.NOROLES
    assert (found.steps.cut, found.steps.roles) == (("reader",), ())
