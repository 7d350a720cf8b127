"""Who may have which token, and what is told of it."""

from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from sessiond.clock import Clock
from sessiond.config import SourceConfig
from sessiond.containment import Containment
from sessiond.core.events import Operator
from sessiond.core.patterns import Patterns
from sessiond.core.session import ActiveSession
from sessiond.sources.answer import NotGiven, Reason
from sessiond.sources.asking import Asking
from sessiond.sources.fetching import OwnStanding
from sessiond.sources.settings import RunningSource
from sessiond.sources.source import Source
from tests.fakes import START, FakeClock, grant_id, process_about, process_key, session
from tests.unit.sources.fakes import ScriptedClient


def running(clock: Clock | None = None, **keys: Any) -> RunningSource:
    config = SourceConfig(
        **{"name": "quotes", "issuer": "corp", "client_id": "feeds", "processes": ("rdb*",), **keys}
    )
    source = Source(
        config.name,
        fetching=OwnStanding(ScriptedClient()),
        min_validity=60.0,
        clock=clock or FakeClock(),
        containment=Containment(),
        slow_after=lambda: 1.0,
    )
    return RunningSource(config=config, source=source, processes=Patterns(config.processes))


def active(number: int) -> ActiveSession:
    return ActiveSession(session=session(number), expires_at=START)


def asking(**members: Any) -> Asking:
    about = process_about()
    return Asking(**{"source": "quotes", "who": process_key(), "process": about, **members})


def reason(asked: Asking, one: RunningSource) -> Reason | None:
    judged = asked.judged({one.config.name: one})
    return judged.reason if isinstance(judged, NotGiven) else None


def test_a_process_may_have_what_its_name_is_among() -> None:
    one = running()
    assert asking().judged({"quotes": one}) == (one, None)
    assert reason(asking(), running(processes=("feed*",))) is Reason.NOTALLOWED
    assert reason(asking(), running(processes=())) is Reason.NOTALLOWED


def test_a_source_that_is_not_there_is_as_one_that_is_for_others() -> None:
    assert reason(asking(source="none"), running()) is Reason.NOTALLOWED


def test_a_peer_that_its_list_has_let_in_is_not_asked_for_its_name() -> None:
    one = running(processes=())
    by = Operator(uid=1, name="app")
    assert asking(process=None, by=by).judged({"quotes": one}) == (one, None)


def test_on_behalf_of_a_user_it_is_his_grants() -> None:
    one = running(grant="on_behalf_of")
    assert asking(session=active(1)).judged({"quotes": one}) == (one, grant_id(1))
    assert reason(asking(), one) is Reason.NOTALLOWED


def test_a_users_token_goes_to_no_other_issuer() -> None:
    one = running(grant="on_behalf_of", issuer="other")
    assert reason(asking(session=active(1)), one) is Reason.NOTALLOWED


def test_what_is_told_has_the_user_on_whose_behalf_it_was() -> None:
    whose = active(1)
    issue = asking(session=whose).issue
    assert (issue.user, issue.session) == (whose.session.principal.name, whose.session.id)
    assert asking().issue.user == ""
    assert asking(session=whose).asker != asking().asker


@pytest.mark.parametrize("number", [1, 2])
def test_sessions_of_one_user_are_summed_together(number: int) -> None:
    first, other = active(1), active(number)
    same = ActiveSession(
        session=structs.replace(other.session, principal=first.session.principal),
        expires_at=other.expires_at,
    )
    assert asking(session=same).asker == asking(session=first).asker
    assert isinstance(asking(session=same).issue.session, UUID)
