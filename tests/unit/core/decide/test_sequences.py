"""Whatever is asked in whatever order, the rows stay sound."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sessiond.core.changes import (
    BeginRefresh,
    Change,
    Close,
    End,
    Expire,
    Find,
    Look,
    Lose,
    Recheck,
    Recheckable,
    Reconcile,
    Refresh,
    Refuse,
    Revoke,
    Rotate,
    Withdraw,
)
from sessiond.core.principal import folded
from sessiond.core.revocation import Scope
from sessiond.core.rows import Row, Rows
from sessiond.core.secret import Secret
from sessiond.core.session import SessionState
from sessiond.core.verdict import Verdict
from tests.fakes import (
    START,
    bind,
    brought,
    grant_id,
    login,
    principal,
    process_about,
    process_key,
    renewal,
    session_id,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

# Few of each, so that they meet. Alice has two names, and one name has two subjects.
PRINCIPALS = [
    principal("alice", "a"),
    principal("alice.smith", "a"),
    principal("ALICE", "usurper"),
    principal("bob", "b"),
    principal("bob", "b", issuer="partner"),
]
TOKENS = [f"token {letter}" for letter in "abcdef"]
numbers = st.integers(1, 6)
handles = st.integers(0, 3)
pids = st.sampled_from([100, 101])
seconds = st.sampled_from([0, 1, 9, 10, 30, 600, 2160, 3600])
whose = st.sampled_from(PRINCIPALS)
access_tokens = st.sampled_from(TOKENS)
refresh_tokens = st.none() | access_tokens


def _tables(rows: Rows) -> list[dict[Any, Any]]:
    return [rows.sessions, rows.grants, rows.tokens, rows.names, rows.revocations]


def _all(rows: Rows) -> list[Row]:
    return [row for table in _tables(rows) for row in table.values()]


def _indexes(rows: Rows) -> dict[str, Any]:
    """Return what `Rows` keeps beside the rows, without what was looked up in vain."""
    return {name: dict(value) for name, value in vars(rows).items() if name.startswith("_")}


class Asking(RuleBasedStateMachine):
    """Asks one change after another; each is applied, taken back, and applied again."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()

    def ask(self, change: Change[Any]) -> Any:
        before = [dict(table) for table in _tables(self.ledger.rows)]
        indexes = _indexes(Rows(_all(self.ledger.rows)))
        self.ledger.ask(change)
        for write in self.ledger.undo:
            self.ledger.rows.apply(write)
        assert [dict(table) for table in _tables(self.ledger.rows)] == before
        assert _indexes(self.ledger.rows) == indexes
        return self.ledger.ask(change)

    def verdict(self, who: Any, age: int) -> Verdict:
        return verdict(
            who,
            begin=self.ledger.now - timedelta(seconds=age),
            states_iat=age % 2 == 0,
            roles=("reader",) if age < 60 else ("writer",),
        )

    @rule(by=seconds)
    def pass_time(self, by: int) -> None:
        self.ledger.let_pass(timedelta(seconds=by))

    @rule(
        number=numbers,
        who=whose,
        age=seconds,
        access=access_tokens,
        refresh=refresh_tokens,
        handle=handles,
        pid=pids,
    )
    def open(
        self,
        number: int,
        who: Any,
        age: int,
        access: str,
        refresh: str | None,
        handle: int,
        pid: int,
    ) -> None:
        if session_id(number) not in self.ledger.rows.sessions and grant_id(number) not in (
            self.ledger.rows.grants
        ):  # the caller's ids are new
            tokens = brought(access, refresh, says=self.verdict(who, age))
            self.ask(login(number, tokens, handle=handle, pid=pid))

    @rule(number=numbers, handle=handles, pid=pids)
    def bind(self, number: int, handle: int, pid: int) -> None:
        self.ask(bind(number, handle=handle, pid=pid))

    @rule(number=numbers, handle=handles)
    def bind_its_own(self, number: int, handle: int) -> None:
        session = self.ledger.rows.sessions.get(session_id(number))
        if session is not None:
            self.ask(bind(number, handle=session.handle or handle, pid=session.process.pid))

    @rule(number=numbers)
    def withdraw(self, number: int) -> None:
        self.ask(Withdraw(session=session_id(number)))

    @rule(
        number=numbers,
        who=whose,
        age=seconds,
        access=access_tokens,
        refresh=refresh_tokens,
        push=st.booleans(),
    )
    def renew(
        self, number: int, who: Any, age: int, access: str, refresh: str | None, push: bool
    ) -> None:
        session = self.ledger.rows.sessions.get(session_id(number))
        if grant_id(100 + number) not in self.ledger.rows.grants:
            pid = 100 if session is None else session.process.pid
            tokens = brought(access, refresh, says=self.verdict(who, age))
            self.ask(renewal(number, tokens, grant=100 + number, pid=pid, push=push))

    @rule(pid=pids, handle=handles)
    def close(self, pid: int, handle: int) -> None:
        self.ask(Close(process=process_key(pid), handle=handle))

    @rule(pid=pids)
    def lose(self, pid: int) -> None:
        self.ask(Lose(process=process_key(pid)))

    @rule(pid=pids, held=st.lists(st.tuples(st.integers(1, 4), numbers), max_size=5))
    def reconcile(self, pid: int, held: list[tuple[int, int]]) -> None:
        doomed = self.ask(
            Reconcile(
                process=process_key(pid),
                about=process_about(pid),
                held=tuple((handle, session_id(number)) for handle, number in held),
            )
        )
        kept = {handle for handle, _ in held} - set(doomed)
        opened = {
            session.handle
            for session in self.ledger.rows.sessions_of(process_key(pid))
            if session.state is SessionState.OPEN
        }
        assert opened == kept
        assert len(doomed) == len(set(doomed))

    @rule(number=numbers, at_once=st.booleans(), token=refresh_tokens)
    def refresh_and_rotate(self, number: int, at_once: bool, token: str | None) -> None:
        if self.ask(BeginRefresh(grant=grant_id(number), at_once=at_once)) is None:
            return
        known = token is not None and token_hash(token) in self.ledger.rows.tokens
        if not known:  # an issuer makes new ones
            secret, hashed = (None, None) if token is None else (Secret(token), token_hash(token))
            assert self.ask(
                Rotate(grant=grant_id(number), refresh=hashed, refresh_token=secret)
            )

    @rule(number=numbers, who=whose, age=st.sampled_from([0, 1]))
    def refresh(self, number: int, who: Any, age: int) -> None:
        verdict = self.verdict(who, age)
        self.ask(Refresh(grant=grant_id(number), verdict=verdict, draw=0.0))

    @rule(number=numbers, who=whose, age=seconds)
    def recheck(self, number: int, who: Any, age: int) -> None:
        if self.ask(Recheckable(grant=grant_id(number))) is not None and age < 3600:
            self.ask(Recheck(grant=grant_id(number), verdict=self.verdict(who, age)))

    @rule(number=numbers)
    def refuse(self, number: int) -> None:
        self.ask(Refuse(grant=grant_id(number), reason="refused"))

    @rule(
        number=numbers,
        covers=st.sampled_from(
            [(Scope.USER, who.name) for who in PRINCIPALS]
            + [(Scope.ISSUER, "partner"), (Scope.ALL, "")]
        ),
    )
    def revoke(self, number: int, covers: tuple[Scope, str]) -> None:
        change = Revoke(id=UUID(int=number), scope=covers[0], value=covers[1], reason="drill")
        self.ask(change)
        assert not [
            session
            for session in self.ledger.rows.sessions.values()
            if any(self.ledger.rows.revocations_of(session.principal))
            and session.principal.name in ("", folded(covers[1]))
        ]

    @rule(number=numbers)
    def forgive(self, number: int) -> None:
        self.ledger.rows.revocations.pop(UUID(int=number), None)

    @rule(who=whose)
    def forget(self, who: Any) -> None:
        self.ledger.rows.names.pop(folded(who.name), None)

    @rule(number=numbers)
    def end(self, number: int) -> None:
        self.ask(End(session=session_id(number)))

    @rule(pid=pids)
    def look(self, pid: int) -> None:
        found = {each.session.id for each in self.ask(Look(process=process_key(pid)))}
        for number in range(1, 7):
            shown = self.ask(Find(process=process_key(pid), session=session_id(number)))
            assert shown is None or shown.session.id in found

    @rule()
    def expire(self) -> None:
        """Do what the table does at every tick: name whatever could be over."""
        rows, now = self.ledger.rows, self.ledger.now
        self.ask(
            Expire(
                sessions=tuple(rows.sessions), grants=tuple(rows.grants), tokens=tuple(rows.tokens)
            )
        )
        assert all(grant.lease.expires_at > now for grant in rows.grants.values())
        assert all(each.until is None or each.until > now for each in rows.sessions.values())
        assert all(
            trace.grant in rows.grants or trace.keep_until > now for trace in rows.tokens.values()
        )

    @invariant()
    def every_session_hangs_on_a_grant_of_its_principal(self) -> None:
        for session in self.ledger.rows.sessions.values():
            grant = self.ledger.rows.grants[session.grant]
            assert (grant.issuer, grant.subject) == (
                session.principal.issuer,
                session.principal.subject,
            )

    @invariant()
    def every_trace_that_names_a_grant_names_one_that_is_there(self) -> None:
        for trace in self.ledger.rows.tokens.values():
            assert trace.grant is None or trace.grant in self.ledger.rows.grants

    @invariant()
    def no_refused_token_belongs_to_a_grant(self) -> None:
        for trace in self.ledger.rows.tokens.values():
            assert not (trace.is_refused and trace.grant is not None)

    @invariant()
    def every_handle_holds_one_session(self) -> None:
        sessions = self.ledger.rows.sessions.values()
        held = [(each.process, each.handle) for each in sessions if each.handle]
        assert len(held) == len(set(held))

    @invariant()
    def the_indexes_agree_with_the_rows(self) -> None:
        assert _indexes(self.ledger.rows) == _indexes(Rows(_all(self.ledger.rows)))

    @invariant()
    def only_open_sessions_have_no_end_of_waiting(self) -> None:
        for session in self.ledger.rows.sessions.values():
            assert (session.until is None) is (session.state is SessionState.OPEN)

    @invariant()
    def no_session_of_a_revoked_principal_is_older_than_its_revocation(self) -> None:
        rows = self.ledger.rows
        for session in rows.sessions.values():
            for revocation in rows.revocations_of(session.principal):
                trace = rows.tokens.get(session.access)
                assert session.since > revocation.at or trace is None, (session, revocation)
                if trace is not None:
                    assert trace.seen_at > revocation.at


TestWhateverIsAsked: Callable[..., Any] = Asking.TestCase
Asking.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
assert START.tzinfo is not None
