"""Whatever tokens, processes and reloads do, in any order: what may a user do?"""

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sessiond.core.access import AccessRules, Ceiling, Denied, LocalGrant, access_at, access_by
from sessiond.core.changes import ProcessLost, Reassess, Recheck, Reconcile, Refresh
from sessiond.core.events import SessionOpened, SessionRevoked, SessionRolesChanged
from sessiond.core.evidence import Evidence, given_by, merged
from sessiond.core.principal import folded
from sessiond.core.session import ActiveSession, SessionId, SessionState
from sessiond.core.verdict import Verdict
from tests.fakes import (
    RULES,
    bind,
    login,
    presented,
    principal,
    process_about,
    process_key,
    renewal,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

ROLES = ("admin", "reader", "trader", "ops")
WHYS = ("claim roles: x", "role source ldap", "default_roles")
PIDS = (100, 101)

patterns = st.lists(st.sampled_from(["*", "ADM*", "reader", "trad*", "ops"]), max_size=3).map(tuple)
some_roles = st.lists(st.sampled_from(ROLES), max_size=3, unique=True).map(tuple)
users = st.sampled_from([("*",), ("*",), ("ALICE",), ("bob",)])
grants = st.builds(LocalGrant, users=users, roles=some_roles)
ceilings = st.builds(
    Ceiling,
    name=st.sampled_from(["*", "rdb100", "rdb*"]),
    users=users,
    roles=patterns | st.just(("*",)),
)
every_rules = st.builds(
    AccessRules,
    protected=st.sampled_from([("admin",), ("admin",), ("Adm*", "ops"), ()]),
    grants=st.lists(grants, max_size=2).map(tuple),
    ceilings=st.lists(ceilings, max_size=2).map(tuple),
    required=st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"corp"})]),
)
evidences = st.lists(
    st.builds(given_by, st.sampled_from(WHYS), some_roles), min_size=1, max_size=2
).map(lambda some: merged(some[0], some[-1]))
names = st.sampled_from(["alice", "bob"])
picks = st.integers(0, 30)


def is_any(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(folded(text), folded(each)) for each in patterns)


class Roles(RuleBasedStateMachine):
    """Compares what is there with what the rules say, and what processes know with what is told."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.known: dict[SessionId, tuple[str, ...]] = {}  # as its process has been told
        self.away: set[int] = set()
        self.number = 0

    def new(self) -> int:
        self.number += 1
        return self.number

    def says(self, name: str, evidence: Evidence) -> Verdict:
        return verdict(principal(name), begin=self.ledger.now, roles=()).assigning(evidence)

    def hear(self, *, may_know: bool = False) -> None:
        """Note what processes were pushed: nothing that they knew already.

        But one that opens a session or comes back may hear again of what was told before, and of
        one that is not open yet, too: it may have been away when that had changed.
        """
        for notice in self.ledger.last.notices:
            event = notice.event
            if isinstance(event, SessionOpened | SessionRolesChanged):
                assert event.roles == tuple(
                    sorted(set(event.because.roles) - set(event.because.cut))
                )
            if notice.push_to is None or event.session is None:
                continue
            session, process = SessionId(event.session), notice.push_to
            if isinstance(event, SessionRevoked):
                self.known.pop(session, None)
            elif isinstance(event, SessionRolesChanged) and process.pid not in self.away:
                is_open = self.ledger.rows.sessions[session].state is SessionState.OPEN
                is_news = self.known[session] != event.roles
                assert may_know or is_news or not is_open, "nothing has changed"
                self.known[session] = event.roles

    def by(self) -> AccessRules:
        return self.ledger.rules.access

    @initialize(access=every_rules)
    def start(self, access: AccessRules) -> None:
        self.ledger.rules = replace(RULES, access=access)

    @rule(access=every_rules)
    def reload(self, access: AccessRules) -> None:
        self.ledger.rules = replace(RULES, access=access)
        before = dict(self.ledger.rows.sessions)
        found = self.ledger.ask(Reassess())
        self.hear()
        after = self.ledger.rows.sessions
        denied = {
            key
            for key, each in before.items()
            if isinstance(access_at(access, each.about, each.principal, each.assigned), Denied)
        }
        assert before.keys() - after.keys() == denied
        assert found.ended == len(denied)
        assert found.changed == sum(after[key].roles != before[key].roles for key in after)

    @rule(name=names, evidence=evidences, pid=st.sampled_from(PIDS), has_refresh=st.booleans())
    def log_in(self, name: str, evidence: Evidence, pid: int, has_refresh: bool) -> None:
        if pid in self.away:
            return
        number, says = self.new(), self.says(name, evidence)
        tokens = presented(f"a {number}", f"r {number}" if has_refresh else None, says=says)
        expected = access_by(self.by(), process_about(pid), says)
        answer = self.ledger.ask(login(number, tokens, pid=pid))
        assert isinstance(answer, Denied) == isinstance(expected, Denied)
        if isinstance(answer, ActiveSession):
            self.known[answer.session.id] = answer.session.roles

    @rule(pick=picks)
    def open(self, pick: int) -> None:
        unopened = [
            each
            for each in self.ledger.rows.sessions.values()
            if each.state is SessionState.UNBOUND and each.process.pid not in self.away
        ]
        if unopened:
            each = unopened[pick % len(unopened)]
            self.ledger.ask(bind(each.id.int, handle=each.handle, pid=each.process.pid))
            self.hear(may_know=True)

    @rule(pick=picks, evidence=evidences, is_recheck=st.booleans())
    def refresh(self, pick: int, evidence: Evidence, is_recheck: bool) -> None:
        sessions = list(self.ledger.rows.sessions.values())
        if not sessions:
            return
        session = sessions[pick % len(sessions)]
        says = self.says(session.principal.name, evidence)
        denied = isinstance(access_by(self.by(), session.about, says), Denied)
        if is_recheck:
            self.ledger.ask(Recheck(grant=session.grant, verdict=says))
        else:
            self.ledger.ask(Refresh(grant=session.grant, verdict=says, draw=0.5))
        self.hear()
        assert (session.id not in self.ledger.rows.sessions) == denied

    @rule(pick=picks, evidence=evidences)
    def renew(self, pick: int, evidence: Evidence) -> None:
        here = [
            each for each in self.ledger.rows.sessions.values() if each.process.pid not in self.away
        ]
        if not here:
            return
        session, number = here[pick % len(here)], self.new()
        says = self.says(session.principal.name, evidence)
        tokens = presented(f"a {number}", says=says)
        pid = session.process.pid
        answer = self.ledger.ask(renewal(session.id.int, tokens, grant=5000 + number, pid=pid))
        self.hear()
        assert session.id in self.ledger.rows.sessions
        if isinstance(answer, Denied):
            assert self.ledger.rows.sessions[session.id] == session

    @rule(pid=st.sampled_from(PIDS))
    def hang(self, pid: int) -> None:
        """What is pushed from now on is lost with the connection, which nobody knows yet."""
        self.away.add(pid)

    @rule(pid=st.sampled_from(PIDS))
    def lose(self, pid: int) -> None:
        self.away.add(pid)
        self.ledger.ask(ProcessLost(process=process_key(pid)))

    @rule(pid=st.sampled_from(PIDS))
    def come_back(self, pid: int) -> None:
        self.away.discard(pid)
        held = tuple(
            (each.handle, each.id)
            for each in self.ledger.rows.sessions_of(process_key(pid))
            if each.state is not SessionState.UNBOUND
        )
        about = process_about(pid)
        self.ledger.ask(ProcessLost(process=process_key(pid)))  # as each hello does
        self.ledger.ask(Reconcile(process=process_key(pid), about=about, held=held))
        self.hear(may_know=True)

    @rule()
    def pass_time(self) -> None:
        self.ledger.let_pass(timedelta(seconds=1))

    @invariant()
    def nobody_may_do_more_than_the_rules_say_nor_less(self) -> None:
        for each in self.ledger.rows.sessions.values():
            found = access_at(self.by(), each.about, each.principal, each.assigned)
            assert not isinstance(found, Denied)
            assert found.roles == each.roles

    @invariant()
    def no_protected_role_is_there_unless_it_is_granted_here(self) -> None:
        for each in self.ledger.rows.sessions.values():
            granted = {
                role
                for grant in self.by().grants
                if is_any(each.principal.name, grant.users)
                for role in grant.roles
            }
            for role in each.roles:
                assert role in granted or not is_any(role, self.by().protected)

    @invariant()
    def no_role_is_beyond_the_ceiling_of_its_process(self) -> None:
        for each in self.ledger.rows.sessions.values():
            ceiling = next(
                (one for one in self.by().ceilings if is_any(each.about.name, (one.name,))), None
            )
            if ceiling is not None:
                assert is_any(each.principal.name, ceiling.users)
                assert all(is_any(role, ceiling.roles) for role in each.roles)

    @invariant()
    def each_process_that_is_here_knows_the_roles_of_its_sessions(self) -> None:
        for each in self.ledger.rows.sessions.values():
            if each.state is SessionState.OPEN and each.process.pid not in self.away:
                assert self.known[each.id] == each.roles


TestWhateverIsChanged = Roles.TestCase
TestWhateverIsChanged.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
