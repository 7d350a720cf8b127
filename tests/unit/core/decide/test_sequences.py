"""Whatever is asked in whatever order, the rows stay sound."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sessiond.core.access import Denied
from sessiond.core.changes import (
    BeginRefresh,
    Close,
    EndSessions,
    Expire,
    KeepCursor,
    KeepGrant,
    LiftRevocation,
    ProcessLost,
    Recheck,
    Reconcile,
    Refresh,
    Refuse,
    ReleaseName,
    Revoke,
    Rotate,
    Withdraw,
)
from sessiond.core.index import Index
from sessiond.core.principal import Principal, folded
from sessiond.core.queries import (
    CheckAdmission,
    FindGrant,
    FindRecheckable,
    FindSession,
    KnownNames,
    ListCursors,
    ListOwnSessions,
    Ping,
    Query,
    Request,
)
from sessiond.core.revocation import Scope
from sessiond.core.rows import Row
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, SessionId, SessionState
from sessiond.core.verdict import PresentedTokens, Verdict
from sessiond.core.written_rows import Rows
from tests.fakes import (
    bind,
    grant_id,
    login,
    presented,
    principal,
    process_about,
    process_key,
    renewal,
    session_id,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

A = TypeVar("A")

# Few of each, so that they meet. Alice has two names, and one of them another subject has too.
PRINCIPALS = [
    principal("alice", "a"),
    principal("alice.smith", "a"),
    principal("ALICE", "usurper"),
    principal("bob", "b", issuer="partner"),
]
NAMES = frozenset(folded(who.name) for who in PRINCIPALS)
ages = st.sampled_from([0, 1, 60, 600])  # seconds since a token was issued
picks = st.integers(0, 3)  # which of what there is
handles = st.integers(0, 3)
pids = st.sampled_from([100, 101])
whose = st.sampled_from(PRINCIPALS)
tokens = st.sampled_from(["one", "two"])


def _tables(rows: Rows) -> list[Mapping[Any, Any]]:
    return [
        rows.sessions,
        rows.grants,
        rows.tokens,
        rows.names,
        rows.web_logins,
        rows.used_states,
        rows.revocations,
        rows.cursors,
        rows.dead_letters,
    ]


def _all(rows: Rows) -> list[Row]:
    return [row for table in _tables(rows) for row in table.values()]


def _identities(rows: Rows) -> list[dict[Any, int]]:
    return [{key: id(row) for key, row in table.items()} for table in _tables(rows)]


def _indexes(rows: Rows) -> dict[str, Any]:
    """Return what `Rows` keeps beside the rows, whatever order it came in."""
    found: dict[str, Any] = {"first": rows.next_refresh_at}
    found["lists"] = {key: list(rows._lists._of(key).after(None)) for key in rows._lists._lists}
    for name, value in vars(rows).items():
        if isinstance(value, Index):
            found[name] = {key: set(value.of(key)) for key in value._values}
        elif isinstance(value, Counter):
            found[name] = +value
        elif isinstance(value, dict):
            found[name] = dict(value)
    return found


class Asking(RuleBasedStateMachine):
    """Asks one change after another; each is applied, taken back, and applied again."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.issued: dict[SessionId, datetime] = {}  # at the latest, its access token
        self.made = 0  # numbers given to sessions, grants and revocations

    def ask(self, asked: Request[Any]) -> Any:
        before = _identities(self.ledger.rows)
        indexes = _indexes(self.ledger.rows)
        self.ledger.ask(asked)
        for write in self.ledger.undo:
            self.ledger.rows.apply(write)
        assert _identities(self.ledger.rows) == before
        assert _indexes(self.ledger.rows) == indexes
        return self.ledger.ask(asked)

    def find_out(self, query: Query[A]) -> A:
        """Ask a query, which must leave everything as it was and be answered the same again."""
        before = _identities(self.ledger.rows)
        indexes = _indexes(self.ledger.rows)
        found = self.ledger.ask(query)
        assert not self.ledger.writes
        assert not self.ledger.last.notices
        assert _identities(self.ledger.rows) == before
        assert _indexes(self.ledger.rows) == indexes
        assert self.ledger.ask(query) == found
        return found

    def new(self) -> int:
        self.made += 1
        return self.made

    def some_session(self, pick: int) -> int:
        """Return the number of a live session, or 0 where there is none."""
        alive = sorted(self.ledger.alive)
        return alive[pick % len(alive)] if alive else 0

    def some_grant(self, pick: int) -> int:
        granted = sorted(self.ledger.granted)
        return granted[pick % len(granted)] if granted else 0

    def bring(self, who: Principal, age: int, access: str, refresh: str | None) -> PresentedTokens:
        return presented(
            f"{who.subject} {access}",
            None if refresh is None else f"{who.subject} {refresh} refresh",
            says=self.verdict(who, age),
            presented_at=self.ledger.now,
        )

    def verdict(self, who: Principal, age: int) -> Verdict:
        return verdict(
            who,
            begin=self.ledger.now - timedelta(seconds=age),
            states_iat=age % 2 == 0,
            roles=("reader",) if age < 60 else ("writer",),
        )

    def let_in(self, answer: ActiveSession | Denied, presented: PresentedTokens) -> None:
        if isinstance(answer, ActiveSession):
            self.issued[answer.session.id] = presented.verdict.stated_iat or self.ledger.now

    @rule(by=st.sampled_from([1, 10, 30, 600, 3600]))
    def pass_time(self, by: int) -> None:
        self.ledger.let_pass(timedelta(seconds=by))

    @rule(
        who=whose,
        age=ages,
        access=tokens,
        refresh=st.none() | tokens,
        handle=handles,
        pid=pids,
        opens=st.booleans(),
    )
    def open(
        self,
        who: Principal,
        age: int,
        access: str,
        refresh: str | None,
        handle: int,
        pid: int,
        opens: bool,
    ) -> None:
        presented, number = self.bring(who, age, access, refresh), self.new()
        answer = self.ask(login(number, presented, handle=handle, pid=pid))
        self.let_in(answer, presented)
        if opens and isinstance(answer, ActiveSession):
            self.ask(bind(answer.session.id.int, handle=handle or 3, pid=pid))

    @initialize(who=st.lists(whose, min_size=2, max_size=5), one_token=st.booleans())
    def begin_with_some(self, who: list[Principal], one_token: bool) -> None:
        for handle, each in enumerate(who, start=1):
            refresh = "one" if one_token or handle % 2 else None
            access = "one" if one_token else f"access {handle}"
            self.open(each, 0, access, refresh, handle, 100, opens=True)

    @rule(victim=whose, access=tokens, refresh=tokens)
    def open_with_somebody_s_refresh_token(
        self, victim: Principal, access: str, refresh: str
    ) -> None:
        own = self.bring(principal("mallory"), 0, access, None)
        stolen = self.bring(victim, 0, access, refresh)
        mixed = replace(own, refresh=stolen.refresh, refresh_token=stolen.refresh_token)
        self.let_in(self.ask(login(self.new(), mixed)), mixed)

    @rule(who=whose, age=ages, access=tokens, refresh=st.none() | tokens)
    def adopt(self, who: Principal, age: int, access: str, refresh: str | None) -> None:
        presented = self.bring(who, age, access, refresh)
        self.ask(KeepGrant(about=process_about(), grant=grant_id(self.new()), presented=presented))

    @rule(pick=picks, handle=handles, pid=pids)
    def bind(self, pick: int, handle: int, pid: int) -> None:
        self.ask(bind(self.some_session(pick), handle=handle, pid=pid))

    @rule(pick=picks)
    def withdraw(self, pick: int) -> None:
        self.ask(Withdraw(session=session_id(self.some_session(pick))))

    @rule(pick=picks, age=ages, access=tokens, refresh=st.none() | tokens, push=st.booleans())
    def renew(self, pick: int, age: int, access: str, refresh: str | None, push: bool) -> None:
        number = self.some_session(pick)
        if number:
            session = self.ledger.session(number)
            presented = self.bring(session.principal, age, access, refresh)
            pid = session.process.pid
            change = renewal(number, presented, grant=self.new(), pid=pid, push=push)
            self.let_in(self.ask(change), presented)

    @rule(pid=pids, handle=handles)
    def close(self, pid: int, handle: int) -> None:
        self.ask(Close(process=process_key(pid), handle=handle))

    @rule(pid=pids)
    def lose(self, pid: int) -> None:
        self.ask(ProcessLost(process=process_key(pid)))

    @rule(pid=pids, held=st.lists(st.tuples(st.integers(1, 3), picks), max_size=4))
    def reconcile(self, pid: int, held: list[tuple[int, int]]) -> None:
        doomed = self.ask(
            Reconcile(
                process=process_key(pid),
                about=process_about(pid),
                held=tuple((handle, session_id(self.some_session(pick))) for handle, pick in held),
            )
        )
        rows = self.ledger.rows
        opened = [
            session.handle
            for session in rows.sessions_of(process_key(pid))
            if session.state is not SessionState.UNBOUND and session.id not in rows.web_logins
        ]
        assert sorted([*opened, *doomed]) == sorted({handle for handle, _ in held})

    @rule(pid=pids, turn=picks)
    def come_back_with_other_handles(self, pid: int, turn: int) -> None:
        held = [
            (each.handle, each.id)
            for each in self.ledger.rows.sessions_of(process_key(pid))
            if each.handle and each.state is not SessionState.UNBOUND
        ]
        turned = [(held[(at + turn) % len(held)][0], key) for at, (_, key) in enumerate(held)]
        process, about = process_key(pid), process_about(pid)
        self.ask(ProcessLost(process=process))
        self.ask(Reconcile(process=process, about=about, held=tuple(turned)))

    @rule(pick=picks, at_once=st.booleans(), rotates=st.booleans())
    def begin_and_rotate(self, pick: int, at_once: bool, rotates: bool) -> None:
        grant = grant_id(self.some_grant(pick))
        if self.ask(BeginRefresh(grant=grant, at_once=at_once)) is not None:
            new = f"rotated {self.new()}" if rotates else None
            change = Rotate(
                grant=grant,
                refresh=None if new is None else token_hash(new),
                refresh_token=None if new is None else Secret(new),
            )
            assert self.ask(change)

    @rule(pick=picks, who=st.none() | whose)
    def refresh(self, pick: int, who: Principal | None) -> None:
        self.answer_for(pick, who, 0, is_refresh=True)

    @rule(pick=picks, who=st.none() | whose, age=ages)
    def recheck(self, pick: int, who: Principal | None, age: int) -> None:
        self.answer_for(pick, who, age, is_refresh=False)

    def answer_for(self, pick: int, who: Principal | None, age: int, *, is_refresh: bool) -> None:
        """Have the issuer answer for a grant, for its own principal or whoever is given."""
        grant = self.ledger.rows.grants.get(grant_id(self.some_grant(pick)))
        if grant is None:
            return
        own = principal("alice", grant.subject, grant.issuer)
        says = self.verdict(who or own, age)
        if is_refresh and grant.has_refresh_token:  # nothing else is ever refreshed
            self.ask(Refresh(grant=grant.id, verdict=says, draw=0.0))
        elif self.find_out(FindRecheckable(grant=grant.id)) is not None:
            self.ask(Recheck(grant=grant.id, verdict=says))

    @rule(pick=picks)
    def refuse(self, pick: int) -> None:
        self.ask(Refuse(grant=grant_id(self.some_grant(pick)), reason="refused"))

    @rule(
        covers=st.sampled_from(
            [(Scope.USER, who.name) for who in PRINCIPALS]
            + [(Scope.ISSUER, "partner"), (Scope.ALL, "")]
        )
    )
    def revoke(self, covers: tuple[Scope, str]) -> None:
        self.ask(Revoke(id=UUID(int=self.new()), scope=covers[0], value=covers[1], reason="drill"))

    @rule(pick=picks)
    def forgive(self, pick: int) -> None:
        made = list(self.ledger.rows.revocations.values())
        if made:
            assert self.ask(LiftRevocation(id=made[pick % len(made)].id))

    @rule(who=whose)
    def forget(self, who: Principal) -> None:
        self.ask(ReleaseName(name=who.name))
        assert self.ledger.rows.owner_of(who.name) is None

    @rule(pick=picks)
    def end(self, pick: int) -> None:
        self.ask(EndSessions(session=session_id(self.some_session(pick))))

    @rule(pid=pids, pick=picks)
    def look(self, pid: int, pick: int) -> None:
        listed = self.find_out(ListOwnSessions(process=process_key(pid)))
        found = {each.session.id for each in listed}
        session = session_id(self.some_session(pick))
        shown = self.find_out(FindSession(process=process_key(pid), session=session))
        assert shown is None or shown.session.id in found
        self.find_out(Ping())

    @rule(pick=picks)
    def look_at_a_grant(self, pick: int) -> None:
        key = grant_id(self.some_grant(pick))
        found = self.find_out(FindGrant(grant=key))
        assert found == self.ledger.rows.grants.get(key)
        assert self.find_out(FindRecheckable(grant=key)) in (None, found)

    @rule(
        who=whose,
        age=ages,
        access=tokens,
        refresh=st.none() | tokens,
        is_proof_due=st.booleans(),
    )
    def check_before_opening(
        self, who: Principal, age: int, access: str, refresh: str | None, is_proof_due: bool
    ) -> None:
        presented, number = self.bring(who, age, access, refresh), self.new()
        check = CheckAdmission(presented=presented, is_proof_due=is_proof_due)
        refusal = self.find_out(check)
        answer = self.ask(login(number, presented))
        assert refusal == (answer if isinstance(answer, Denied) else None)
        self.let_in(answer, presented)
        is_known = folded(who.name) in self.find_out(KnownNames(names=NAMES))
        assert is_known or refusal is not None

    @rule(subscriber=st.sampled_from(["audit", "webhook"]), sequence=st.integers(0, 5))
    def keep_a_cursor(self, subscriber: str, sequence: int) -> None:
        self.ask(KeepCursor(subscriber=subscriber, sequence=sequence))
        kept = self.find_out(ListCursors())
        assert any(
            each.subscriber == subscriber and each.sequence >= sequence for each in kept.cursors
        )

    @rule(waits=st.booleans())
    def expire(self, waits: bool) -> None:
        """Name whatever could be over, as the table does at every tick."""
        ends = [grant.lease.expires_at for grant in self.ledger.rows.grants.values()]
        if waits and ends:
            self.ledger.now = max(self.ledger.now, min(ends))
        rows, now = self.ledger.rows, self.ledger.now
        self.ask(
            Expire(
                sessions=(*rows.sessions, *rows.sessions),
                grants=(*rows.grants, *rows.grants),
                tokens=(*rows.tokens, *rows.tokens),
                states=(*rows.used_states, *rows.used_states),
            )
        )
        ended = [notice.event.session for notice in self.ledger.last.notices]
        assert len(ended) == len(set(ended))
        assert all(grant.lease.expires_at > now for grant in rows.grants.values())
        assert all(each.until is None or each.until > now for each in rows.sessions.values())
        assert all(
            trace.grant in rows.grants or trace.keep_until > now for trace in rows.tokens.values()
        )
        assert all(used.keep_until > now for used in rows.used_states.values())

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
                assert self.issued[session.id] > revocation.at


TestWhateverIsAsked = Asking.TestCase
TestWhateverIsAsked.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
