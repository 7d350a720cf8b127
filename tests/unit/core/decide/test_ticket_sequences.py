"""Whatever happens to a session, what its tickets opened is never ahead of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sessiond.core import reading
from sessiond.core.access import AccessRules, Ceiling, Denied, LocalGrant
from sessiond.core.changes import (
    BeginSourceRefresh,
    Change,
    Close,
    EndSessions,
    Expire,
    KeepSourceGrant,
    LiftRevocation,
    NextEpoch,
    ProcessLost,
    ProcessMet,
    Reassess,
    Reconcile,
    Refresh,
    Refuse,
    RefuseSource,
    Revoke,
    RotateSource,
)
from sessiond.core.decide import decide, unfinished
from sessiond.core.passing_on import passed_on
from sessiond.core.revocation import Scope
from sessiond.core.rows import Row
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, ProcessAbout, Session, SessionId, SessionState
from sessiond.core.ticket import TicketId
from sessiond.core.written_rows import Rows
from tests.fakes import (
    HOUR,
    RULES,
    bind,
    login,
    presented,
    principal,
    process_about,
    process_key,
    renewal,
    ticket,
    ticket_login,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

PIDS = (0, 100, 200)
ROLES = ("reader", "trader", "admin")
roles = st.lists(st.sampled_from(ROLES), unique=True, min_size=1).map(
    lambda some: tuple(sorted(some))
)
pids = st.sampled_from(PIDS)
picks = st.integers(0, 50)
ceilings = st.lists(
    st.builds(
        Ceiling,
        name=st.sampled_from(["rdb0", "rdb100", "rdb200", "*"]),
        roles=st.one_of(st.just(("*",)), roles),
        users=st.sampled_from([("*",), ("a*",)]),
    ),
    max_size=2,
).map(tuple)
rules = st.builds(
    AccessRules,
    protected=st.sampled_from([(), ("admin",)]),
    grants=st.sampled_from([(), (LocalGrant(users=("alice",), roles=("admin",)),)]),
    ceilings=ceilings,
)


class Families(RuleBasedStateMachine):
    """Decides in small pieces, and looks at the rows after each."""

    def __init__(self) -> None:
        super().__init__()
        self.piece, reading.PIECE = reading.PIECE, 3
        self.ledger = Ledger()
        self.number = 0
        self.opened: dict[TicketId, SessionId] = {}  # what each spent ticket opened

    def teardown(self) -> None:
        reading.PIECE = self.piece

    def new(self) -> int:
        self.number += 1
        return self.number

    def ask(self, change: Change[object]) -> object:
        """Carry a change out, and look after each piece of it."""
        rest: Change[object] | None = change
        answer: object = None
        while rest is not None:
            before = dict(self.ledger.rows.sessions)
            decision = decide(self.ledger.rows, rest, self.ledger.now, self.ledger.rules)
            for write in decision.writes:
                self.ledger.write(write)
            rest, answer = decision.rest, decision.answer
            self.look(before)
        return answer

    def look(self, before: Mapping[SessionId, Session]) -> None:
        live = self.ledger.rows.sessions
        for each in live.values():
            if each.parent is None:
                continue
            parent = live.get(each.parent)
            assert parent is not None, "it outlives its parent"
            assert set(each.roles) <= set(parent.roles), "it may do more than its parent"
            assert (each.grant, each.access) == (parent.grant, parent.access)
            assert (each.principal, each.attributes) == (parent.principal, parent.attributes)
            assert (each.auth_time, each.acr) == (parent.auth_time, parent.acr)
            assert each.hops == parent.hops + 1
            was = before.get(each.parent)
            if was is not None and was.roles != parent.roles:  # as it was told in this very piece
                found = passed_on(self.ledger.rules.access, each.about, parent)
                assert not isinstance(found, Denied)
                assert each.roles == found.roles
        for each in live.values():
            assert each.grant in self.ledger.rows.grants

    def picked(self, pick: int) -> Session | None:
        live = sorted(self.ledger.rows.sessions.values(), key=lambda each: each.id)
        return live[pick % len(live)] if live else None

    @initialize(access=rules)
    def start(self, access: AccessRules) -> None:
        self.ledger.rules = RULES
        self.log_in("alice", ROLES, 100, refreshes=True)
        self.spend(0, 200, 0, opens=True)
        self.spend(1, 100, 0, opens=True)
        self.reload(access)

    @rule(name=st.sampled_from(["alice", "bob"]), has=roles, pid=pids, refreshes=st.booleans())
    def log_in(self, name: str, has: tuple[str, ...], pid: int, refreshes: bool) -> None:
        number, token = self.new(), f"{name}'s" if refreshes else None
        says = verdict(principal(name), begin=self.ledger.now, roles=has)
        access = f"of {name}" if refreshes else f"access {number}"
        self.ask(login(number, presented(access, token, says=says), pid=pid))
        self.ask(bind(number, pid=pid))

    @rule(pick=picks, pid=pids, handle=st.integers(0, 6), opens=st.booleans())
    def spend(self, pick: int, pid: int, handle: int, opens: bool) -> None:
        parent = self.picked(pick)
        if parent is None:
            return
        number = self.new()
        lasts = self.ledger.now + timedelta(seconds=30)
        given = ticket(number, name=parent.principal.name, parent=parent.id.int, expires_at=lasts)
        answer = self.ask(ticket_login(number, given, handle=handle or number, pid=pid))
        if isinstance(answer, ActiveSession):
            assert given.id in self.ledger.rows.spent_tickets
            self.opened[given.id] = answer.session.id
            if opens:
                self.ask(bind(number, handle=handle or number, pid=pid))

    @rule(pick=picks, pid=pids, handle=st.integers(1, 30))
    def spend_again(self, pick: int, pid: int, handle: int) -> None:
        if not self.opened:
            return
        spent = list(self.opened)[pick % len(self.opened)]
        number = self.new()
        lasts = self.ledger.now + timedelta(seconds=30)
        given = replace(ticket(number, parent=1, expires_at=lasts), id=spent)
        answer = self.ask(ticket_login(number, given, handle=handle, pid=pid))
        if isinstance(answer, ActiveSession):
            assert answer.session.id == self.opened[spent], "a ticket opened two sessions"
            assert answer.session.state is SessionState.UNBOUND

    @rule(pick=picks)
    def close(self, pick: int) -> None:
        session = self.picked(pick)
        if session is not None:
            self.ask(Close(process=session.process, handle=session.handle, session=session.id))

    @rule(pick=picks)
    def revoke_one(self, pick: int) -> None:
        session = self.picked(pick)
        if session is not None:
            self.ask(EndSessions(session=session.id))

    @rule(name=st.sampled_from(["alice", "bob"]))
    def revoke_and_forgive(self, name: str) -> None:
        number = UUID(int=self.new())
        self.ask(Revoke(id=number, scope=Scope.USER, value=name, reason="x"))
        for each in list(self.ledger.rows.revocations):
            self.ask(LiftRevocation(id=each))
        self.ledger.let_pass(timedelta(seconds=1))

    @rule(pick=picks, has=roles)
    def refresh(self, pick: int, has: tuple[str, ...]) -> None:
        session = self.picked(pick)
        if session is not None:
            who = session.principal
            says = verdict(who, begin=self.ledger.now, roles=has, acr=has)
            self.ask(Refresh(grant=session.grant, verdict=says, draw=0.5))

    @rule(pick=picks)
    def refuse(self, pick: int) -> None:
        session = self.picked(pick)
        if session is not None:
            self.ask(Refuse(grant=session.grant, reason="refused"))

    @rule(pick=picks, has=roles)
    def renew(self, pick: int, has: tuple[str, ...]) -> None:
        session = self.picked(pick)
        if session is None:
            return
        number = self.new()
        says = verdict(session.principal, begin=self.ledger.now, roles=has)
        change = renewal(session.id.int, presented(f"access {number}", says=says), grant=number)
        answer = self.ask(replace(change, process=session.process))
        assert not (session.hops and isinstance(answer, ActiveSession)), "a ticket was renewed"

    @rule(access=rules)
    def reload(self, access: AccessRules) -> None:
        self.ledger.rules = replace(RULES, access=access)
        self.ask(Reassess())
        self.all_is_by_the_rules()

    @rule(pid=pids)
    def lose(self, pid: int) -> None:
        self.ask(ProcessLost(process=process_key(pid)))

    @rule(pid=pids, keeps=st.lists(st.booleans(), min_size=12, max_size=12), moved=pids)
    def come_back(self, pid: int, keeps: Sequence[bool], moved: int) -> None:
        held = tuple(
            (each.handle, each.id)
            for number, each in enumerate(self.ledger.rows.sessions_of(process_key(pid)))
            if keeps[number % len(keeps)]
        )
        about: ProcessAbout = process_about(moved)
        self.ask(ProcessMet(process=process_key(pid)))
        self.ask(Reconcile(process=process_key(pid), about=about, held=held))

    @rule(by=st.sampled_from([timedelta(seconds=9), timedelta(seconds=40), HOUR]))
    def pass_time(self, by: timedelta) -> None:
        self.ledger.let_pass(by)
        rows = self.ledger.rows
        self.ask(
            Expire(
                sessions=tuple(rows.sessions),
                grants=tuple(rows.grants),
                tokens=tuple(rows.tokens),
                tickets=tuple(rows.spent_tickets),
            )
        )

    @rule()
    def crash(self) -> None:
        """What is on disk is all that there is; nothing of it is left to be ended."""
        rows = self.ledger.rows
        kept: list[Row] = [
            *rows.grants.values(),
            *rows.sessions.values(),
            *rows.tokens.values(),
            *rows.names.values(),
            *rows.spent_tickets.values(),
        ]
        self.ledger.rows = Rows(kept)
        assert unfinished(self.ledger.rows) == []

    @invariant()
    def what_is_spent_is_known(self) -> None:
        for each in self.ledger.rows.spent_tickets.values():
            assert self.opened[each.id] == each.session

    def all_is_by_the_rules(self) -> None:
        live = self.ledger.rows.sessions
        for each in live.values():
            if each.parent is not None:
                found = passed_on(self.ledger.rules.access, each.about, live[each.parent])
                assert not isinstance(found, Denied)
                assert each.roles == found.roles


TestWhateverHappens = Families.TestCase
TestWhateverHappens.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


class Source(RuleBasedStateMachine):
    """Never hands out what the issuer has refused."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.kept = ""  # the newest refresh token
        self.sent: str | None = None  # in flight
        self.refused = set[str]()
        self.number = 0

    @rule()
    def keep(self) -> None:
        self.number += 1
        self.kept = f"token {self.number}"
        change = KeepSourceGrant(name="s", client="c", seed=None, refresh_token=Secret(self.kept))
        self.ledger.ask(change)

    @rule()
    def begin(self) -> None:
        found = self.ledger.ask(BeginSourceRefresh(name="s"))
        assert (found is None) == (not self.kept or self.kept in self.refused)
        if found is not None:
            self.sent = self.kept

    @rule()
    def rotate(self) -> None:
        if self.sent is None:
            return
        self.number += 1
        new = f"token {self.number}"
        is_kept = self.ledger.ask(RotateSource(name="s", refresh_token=Secret(new)))
        assert is_kept == (self.sent == self.kept)
        self.kept, self.sent = new if is_kept else self.kept, None

    @rule()
    def refuse(self) -> None:
        if self.sent is None:
            return
        self.ledger.ask(RefuseSource(name="s"))
        self.refused.add(self.sent)
        self.sent = None

    @rule()
    def crash(self) -> None:
        kept: list[Row] = [*self.ledger.rows.source_grants.values()]
        self.ledger.rows = Rows(kept)
        self.sent = None

    @invariant()
    def epochs_only_grow(self) -> None:
        before = self.ledger.rows.epochs.get("e")
        number = self.ledger.ask(NextEpoch(name="e"))
        assert before is None or number > before.number


TestWhateverTheIssuerSays = Source.TestCase
TestWhateverTheIssuerSays.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None
)
