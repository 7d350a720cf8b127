"""Whatever is asked in whatever order, logins over HTTP end when they should, and each once."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from sessiond.core.access import Ceiling
from sessiond.core.changes import Bind, ProcessMet, Reassess, Reconcile, SignOut, TouchWeb
from sessiond.core.decide.presence import resumed
from sessiond.core.principal import Principal
from sessiond.core.queries import FindWeb, Request
from sessiond.core.rules import WebRules
from sessiond.core.session import ActiveSession, SessionState
from sessiond.core.web_login import SIGN_IN_LASTS
from sessiond.core.written_rows import Rows
from tests.fakes import (
    bind,
    process_about,
    process_key,
    session_id,
    token_hash,
    web_login,
)
from tests.unit.core.decide.test_sequences import (
    Asking,
    _all,
    ages,
    handles,
    picks,
    pids,
    tokens,
    whose,
)

WEB = WebRules(idle=timedelta(minutes=10), session=timedelta(minutes=25))
ENDS = {"session.revoked", "session.expired", "session.closed"}
bases = st.sampled_from(["https://a", "https://b"])


class Browsing(Asking):
    """Asks what browsers, bearers and their websockets ask, among everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger.rules = replace(self.ledger.rules, web=WEB)
        self.completed: dict[str, datetime] = {}  # sign-ins, and when each made its session
        self.cookies: list[tuple[str, str, int]] = []  # with the base and the pid of each

    def ask(self, asked: Request[Any]) -> Any:
        answer = super().ask(asked)
        ended = set[object]()
        for notice in self.ledger.last.notices:
            session = notice.event.session
            assert session is None or session not in ended, "nothing comes after a session's end"
            if notice.event.kind in ENDS:
                ended.add(session)
        return answer

    @rule(who=whose, age=ages, access=tokens, pid=pids)
    def come_as_a_bearer(self, who: Principal, age: int, access: str, pid: int) -> None:
        presented = self.bring(who, age, access, None)
        answer = self.ask(web_login(self.new(), presented, pid=pid))
        if isinstance(answer, ActiveSession):
            self.issued.setdefault(answer.session.id, self.ledger.now)

    @rule(who=whose, state=st.integers(1, 4), refresh=st.none() | tokens, base=bases, pid=pids)
    def sign_in(self, who: Principal, state: int, refresh: str | None, base: str, pid: int) -> None:
        number = self.new()
        presented = self.bring(who, 0, f"web {number}", refresh)
        cookie, name = f"cookie {number}", f"state {state}"
        change = web_login(number, presented, cookie=cookie, base=base, state=name, pid=pid)
        answer = self.ask(change)
        if isinstance(answer, ActiveSession):
            before = self.completed.get(name)
            assert before is None or self.ledger.now - before >= SIGN_IN_LASTS
            assert answer.session.id.int == number
            self.completed[name] = self.ledger.now
            self.issued[answer.session.id] = self.ledger.now
            self.cookies.append((cookie, base, pid))

    @rule(pick=picks, base=bases, pid=pids, touches=st.booleans())
    def show_a_cookie(self, pick: int, base: str, pid: int, touches: bool) -> None:
        if not self.cookies:
            return
        cookie, made_for, at = self.cookies[-1 - pick % len(self.cookies)]
        asked = FindWeb(process=process_key(pid), cookie=token_hash(cookie), base=base)
        found = self.find_out(asked)
        if found is None:
            return
        now, session = self.ledger.now, found.session
        assert (made_for, at) == (base, pid)
        assert session.until is not None
        assert min(session.until, found.expires_at) > now
        assert not self.ledger.rows.is_revoked(session)
        if touches:
            assert self.ask(TouchWeb(session=session.id))
            assert self.find_out(asked) is not None

    @rule(pick=picks)
    def touch(self, pick: int) -> None:
        self.ask(TouchWeb(session=session_id(self.some_session(pick))))

    @rule(pick=picks, handle=st.integers(1, 5))
    def open_a_websocket(self, pick: int, handle: int) -> None:
        web = sorted(self.ledger.rows.web_logins)
        if web:
            session = self.ledger.rows.sessions[web[pick % len(web)]]
            change = bind(session.id.int, handle=handle, pid=session.process.pid)
            self.bind_child(replace(change, child=session_id(10_000 + self.new())))

    def bind_child(self, change: Bind) -> None:
        child = self.ask(change)
        if child is not None:
            self.issued[child] = max(self.ledger.now, self.issued[change.session])

    @rule(pick=picks, pid=pids)
    def sign_out(self, pick: int, pid: int) -> None:
        session = session_id(self.some_session(pick))
        if self.ask(SignOut(process=process_key(pid), session=session)):
            assert session not in self.ledger.rows.sessions

    @rule(pid=pids, handle=handles)
    def meet(self, pid: int, handle: int) -> None:
        self.ask(ProcessMet(process=process_key(pid)))
        for session in self.ledger.rows.sessions_of(process_key(pid)):
            if session.id in self.ledger.rows.web_logins:
                assert session.state is SessionState.WEB

    @rule(pid=pids, name=st.sampled_from([100, 101]))
    def come_back_under_a_name(self, pid: int, name: int) -> None:
        process = process_key(pid)
        self.ask(ProcessMet(process=process))
        held = [
            (each.handle, each.id)
            for each in self.ledger.rows.sessions_of(process)
            if each.handle and each.state is SessionState.WAITING
        ]
        self.ask(Reconcile(process=process, about=process_about(name), held=tuple(held)))

    @rule(
        users=st.sampled_from([("*",), ("alice",), ("b*",)]),
        roles=st.sampled_from([("*",), ("reader",)]),
        looks=st.booleans(),
    )
    def configure(self, users: tuple[str, ...], roles: tuple[str, ...], looks: bool) -> None:
        """Have another ceiling count; the look at all sessions may be still to come."""
        rules = self.ledger.rules
        access = replace(rules.access, ceilings=(Ceiling(users=users, roles=roles),))
        self.ledger.rules = replace(rules, access=access)
        if looks:
            self.ask(Reassess())

    @rule()
    def crash_and_start(self) -> None:
        """Go on with what was written; every process is away."""
        rows = Rows(_all(self.ledger.rows))
        found = resumed(rows, rows.sessions.values(), now=self.ledger.now, rules=self.ledger.rules)
        rows.put_states(list(found))
        self.ledger.rows = rows

    def check_before_opening(self, *_: Any) -> None:
        """Not here, where a ceiling refuses too."""

    def bind(self, pick: int, handle: int, pid: int) -> None:
        """Not on what has no handle: that makes a session, here by `open_a_websocket`."""

    @invariant()
    def no_child_outlives_its_parent(self) -> None:
        rows = self.ledger.rows
        for session in rows.sessions.values():
            if session.parent is not None:
                parent = rows.sessions[session.parent]
                assert (parent.process, parent.principal.subject) == (
                    session.process,
                    session.principal.subject,
                )

    @invariant()
    def each_login_over_http_stands_beside_a_session_without_a_handle(self) -> None:
        rows = self.ledger.rows
        for key in rows.web_logins:
            session = rows.sessions[key]
            assert (session.handle, session.parent) == (0, None)
            assert session.state in (SessionState.WEB, SessionState.WAITING)
        for session in rows.sessions.values():
            assert session.state is not SessionState.WEB or session.id in rows.web_logins

    @invariant()
    def none_lasts_longer_than_its_idle_time_or_a_session_may(self) -> None:
        for key, beside in self.ledger.rows.web_logins.items():
            until = self.ledger.rows.sessions[key].until
            assert until is not None
            assert until <= min(beside.used_at + WEB.idle, beside.made_at + WEB.session)

    @invariant()
    def one_access_token_is_one_session_at_a_process(self) -> None:
        rows = self.ledger.rows
        of = [
            (session.process, session.access)
            for session in rows.sessions.values()
            if session.id in rows.web_logins and rows.web_logins[session.id].cookie is None
        ]
        assert len(of) == len(set(of))


TestWhateverBrowsersAsk = Browsing.TestCase
TestWhateverBrowsersAsk.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
