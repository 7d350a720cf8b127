"""Whatever is asked in whatever order, no session outlives what it was opened with."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sessiond.core.access import Denied
from sessiond.core.admission import MAX_UNPROVED
from sessiond.core.changes import (
    BeginRefresh,
    Close,
    Expire,
    LiftRevocation,
    ProcessLost,
    Recheck,
    Reconcile,
    Refresh,
    Refuse,
    Revoke,
    Rotate,
    Withdraw,
)
from sessiond.core.grant import Grant, GrantId
from sessiond.core.principal import Principal
from sessiond.core.queries import FindRecheckable
from sessiond.core.revocation import Scope
from sessiond.core.rows import Row
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, Session, SessionId
from sessiond.core.verdict import PresentedTokens, Verdict
from sessiond.core.written_rows import Rows
from tests.fakes import (
    MINUTE,
    RULES,
    bind,
    login,
    presented,
    principal,
    process_about,
    process_key,
    renewal,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

LENGTH = 10 * MINUTE  # of every access token's lease
NAMES = ("alice", "bob")
picks = st.integers(0, 5)
whose = st.sampled_from(NAMES)
pairs = st.sampled_from([None, "own", "own", "foreign", "garbage", "access"])


@dataclass
class Family:
    """A sign-in at the issuer: its refresh tokens, and whether the issuer still honours them."""

    of: str
    refresh: list[str]
    stands: bool = True


@dataclass
class AccessToken:
    """An access token as the issuer knows it."""

    of: str
    name: str
    begin: datetime
    states_end: bool
    family: Family
    seen_at: datetime | None = None
    came_with: set[str] = field(default_factory=set)

    @property
    def ends_at(self) -> datetime:
        """Its own end, by the issuer's word or from when it was first seen."""
        return (self.begin if self.states_end else self.seen_at or self.begin) + LENGTH


@dataclass
class Life:
    """What a session has brought last."""

    access: AccessToken
    refresh: str | None


class Issuing(RuleBasedStateMachine):
    """A world with an issuer that knows whose each token is; sessiond is told only what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.ledger.rules = replace(RULES, generations={"corp": 0})
        self.families: list[Family] = []
        self.access: list[AccessToken] = []
        self.lives: dict[SessionId, Life] = {}
        self.came_as_refresh: set[str] = set()  # also access tokens: seen before they came as such
        self.made = 0

    def new(self) -> int:
        self.made += 1
        return self.made

    def family_of(self, refresh: str) -> Family | None:
        return next((each for each in self.families if refresh in each.refresh), None)

    def verdict(self, who: str, begin: datetime, *, states_end: bool = True) -> Verdict:
        generation = self.ledger.rules.generations["corp"]
        says = verdict(self.principal(who), begin=begin, length=LENGTH, states_iat=states_end)
        return replace(says, states_end=states_end, generation=generation)

    def principal(self, who: str) -> Principal:
        return principal(who)

    def bring(
        self, token: AccessToken, pair: str | None, pick: int
    ) -> tuple[PresentedTokens, str | None]:
        """Return tokens as they are presented, and the refresh token that is among them."""
        now, refresh = self.ledger.now, None
        foreign = [each for each in self.families if each.of != token.of]
        match pair:
            case "own":
                refresh = token.family.refresh[pick % len(token.family.refresh)]
            case "foreign" if foreign:
                refresh = foreign[pick % len(foreign)].refresh[0]
            case "garbage":
                refresh = f"garbage {pick}"
            case "access":
                refresh = self.access[pick % len(self.access)].name
            case _:
                pass
        begin = token.begin if token.states_end else now
        says = self.verdict(token.of, begin, states_end=token.states_end)
        return presented(token.name, refresh, says=says, presented_at=now), refresh

    def note(self, answer: ActiveSession | Denied, token: AccessToken, refresh: str | None) -> None:
        if isinstance(answer, ActiveSession):
            token.seen_at = token.seen_at or self.ledger.now
            self.lives[answer.session.id] = Life(token, refresh)
            if refresh is not None:
                token.came_with.add(refresh)
                self.came_as_refresh.add(refresh)

    def grants(self) -> list[Grant]:
        return sorted(self.ledger.rows.grants.values(), key=lambda each: each.id)

    def sessions(self) -> list[Session]:
        return sorted(self.ledger.rows.sessions.values(), key=lambda each: each.id)

    @initialize(who=st.lists(whose, min_size=2, max_size=3))
    def signed_in(self, who: list[str]) -> None:
        for each in who:
            self.sign_in(each, states_end=True)
        self.come(0, "own", 0, 1, opens=True)
        self.come(0, None, 0, 2, opens=True)

    @rule(who=whose, states_end=st.booleans())
    def sign_in(self, who: str, states_end: bool) -> None:
        family = Family(who, [f"refresh {self.new()}"])
        self.families.append(family)
        token = AccessToken(who, f"access {self.new()}", self.ledger.now, states_end, family)
        self.access.append(token)

    @rule(of=picks, pair=pairs, pick=picks, handle=st.integers(0, 3), opens=st.booleans())
    def come(self, of: int, pair: str | None, pick: int, handle: int, opens: bool) -> None:
        token = self.access[of % len(self.access)]
        tokens, refresh = self.bring(token, pair, pick)
        answer = self.ledger.ask(login(self.new(), tokens, handle=handle))
        self.note(answer, token, refresh)
        if opens and isinstance(answer, ActiveSession):
            self.ledger.ask(bind(answer.session.id.int, handle=handle or 4))

    @rule(session=picks, of=picks, pair=pairs, pick=picks)
    def renew(self, session: int, of: int, pair: str | None, pick: int) -> None:
        token = self.access[of % len(self.access)]
        tokens, refresh = self.bring(token, pair, pick)
        if live := self.sessions():
            number = live[session % len(live)].id.int
            self.note(self.ledger.ask(renewal(number, tokens, grant=self.new())), token, refresh)

    @rule(by=st.sampled_from([1, 30, 240, 360, 600]))
    def pass_time(self, by: int) -> None:
        self.ledger.let_pass(timedelta(seconds=by))
        self.expire()

    def expire(self) -> None:
        """End what is over, as the table's queue has it within a second."""
        rows = self.ledger.rows
        self.ledger.ask(
            Expire(
                sessions=tuple(rows.sessions),
                grants=tuple(rows.grants),
                tokens=tuple(rows.tokens),
            )
        )

    @rule(pick=picks, rotates=st.booleans(), at_once=st.booleans())
    def refresh(self, pick: int, rotates: bool, at_once: bool) -> None:
        """Have a grant refreshed, as the issuer judges the refresh token that is kept."""
        grants = [each for each in self.grants() if each.has_refresh_token]
        if not grants:
            return
        grant = grants[pick % len(grants)]
        if self.ledger.ask(BeginRefresh(grant=grant.id, at_once=at_once)) is None:
            return
        sent = self.ledger.refresh_tokens[grant.id]
        family = self.family_of(sent)
        if family is None or not family.stands:
            self.refuse(grant.id)
            return
        renewed = f"refresh {self.new()}" if rotates else None
        if renewed is not None:
            family.refresh.append(renewed)
        rotated = Rotate(
            grant=grant.id,
            refresh=None if renewed is None else token_hash(renewed),
            refresh_token=None if renewed is None else Secret(renewed),
        )
        assert self.ledger.ask(rotated)
        says = self.verdict(family.of, self.ledger.now)
        before = {each.id: each.grant for each in self.sessions()}
        kept = self.ledger.ask(Refresh(grant=grant.id, verdict=says, draw=0.5))
        assert kept == (grant.subject == self.principal(family.of).subject)
        refreshed = {
            notice.event.session
            for notice in self.ledger.last.notices
            if notice.event.kind == "session.refreshed"
        }
        assert all(before[SessionId(each)] == grant.id for each in refreshed if each)

    def refuse(self, grant: GrantId, reason: str = "refused") -> None:
        row = self.ledger.rows.grants[grant]
        on_others = {
            each.id: self.lives[each.id] for each in self.sessions() if each.grant != grant
        }
        self.ledger.ask(Refuse(grant=grant, reason=reason))
        assert not self.ledger.rows.has_sessions(grant)
        if row.is_unproved:  # nobody else is touched
            assert on_others.keys() <= self.ledger.rows.sessions.keys()
        assert {each.id for each in self.sessions()} <= on_others.keys()

    @rule(who=whose, stolen=picks, by=st.sampled_from([1, 60]))
    def sign_in_anew_after_a_theft(self, who: str, stolen: int, by: int) -> None:
        """The user comes with new tokens, has the stolen family killed, and it is refreshed."""
        self.pass_time(by)
        self.sign_in(who, states_end=True)
        self.come(len(self.access) - 1, "own", 0, 3, opens=True)
        family = self.families[stolen % (len(self.families) - 1)]
        family.stands = False
        for grant in self.grants():
            if self.ledger.refresh_tokens.get(grant.id) in family.refresh:
                self.refuse(grant.id)

    @rule(pick=picks)
    def kill_a_family(self, pick: int) -> None:
        self.families[pick % len(self.families)].stands = False

    @rule(pick=picks, accepts=st.booleans())
    def recheck(self, pick: int, accepts: bool) -> None:
        grants = [each for each in self.grants() if not each.has_refresh_token]
        if not grants:
            return
        grant = grants[pick % len(grants)]
        if self.ledger.ask(FindRecheckable(grant=grant.id)) is None:
            return
        if not accepts:
            self.refuse(grant.id, "inactive")
            return
        (trace,) = self.ledger.rows.tokens_of(grant.id)
        token = next(each for each in self.access if token_hash(each.name) == trace.hash)
        tokens, _ = self.bring(token, None, 0)
        self.ledger.ask(Recheck(grant=grant.id, verdict=tokens.verdict))

    @rule(who=whose, forgives=st.booleans())
    def revoke(self, who: str, forgives: bool) -> None:
        revocation = UUID(int=self.new())
        self.ledger.ask(Revoke(id=revocation, scope=Scope.USER, value=who, reason=""))
        assert who not in {each.principal.name for each in self.sessions()}
        if forgives:
            self.ledger.ask(LiftRevocation(id=revocation))

    @rule(pick=picks)
    def withdraw(self, pick: int) -> None:
        if live := self.sessions():
            self.ledger.ask(Withdraw(session=live[pick % len(live)].id))

    @rule(handle=st.integers(1, 4))
    def leave(self, handle: int) -> None:
        self.ledger.ask(Close(process=process_key(), handle=handle))

    @rule(keeps=st.integers(0, 4))
    def lose_the_process_and_reconcile(self, keeps: int) -> None:
        self.ledger.ask(ProcessLost(process=process_key()))
        held = [(each.handle, each.id) for each in self.sessions() if each.handle][:keeps]
        self.ledger.ask(
            Reconcile(process=process_key(), about=process_about(), held=tuple(dict(held).items()))
        )

    @rule()
    def crash(self) -> None:
        """Go on with what was written."""
        rows = self.ledger.rows
        written: list[Row] = [
            *rows.sessions.values(),
            *rows.grants.values(),
            *rows.tokens.values(),
            *rows.names.values(),
            *rows.revocations.values(),
        ]
        self.ledger.rows = Rows(written)

    @rule()
    def reload(self) -> None:
        rules = self.ledger.rules
        generations = {"corp": rules.generations["corp"] + 1}
        self.ledger.rules = replace(rules, generations=generations)
        stale = verdict(self.principal("alice"), begin=self.ledger.now)
        grants = self.grants()
        if grants and grants[0].subject == stale.principal.subject:
            assert not self.ledger.ask(Refresh(grant=grants[0].id, verdict=stale, draw=0.5))

    @invariant()
    def no_session_outlives_what_it_brought(self) -> None:
        rows, now = self.ledger.rows, self.ledger.now
        for session in rows.sessions.values():
            life, grant = self.lives[session.id], rows.grants[session.grant]
            assert grant.lease.expires_at > now
            assert session.access == token_hash(life.access.name)
            if life.refresh is None:
                assert not grant.has_refresh_token
                assert grant.lease.expires_at <= life.access.ends_at
                if life.access.name not in self.came_as_refresh:
                    assert grant.lease.expires_at == life.access.ends_at
            else:  # the grant stands, and is that of the refresh token it brought
                known = rows.grant_of(token_hash(life.refresh))
                assert known is grant or life.refresh in {each.name for each in self.access}
                family = self.family_of(life.refresh)
                assert not grant.proven or family is not None
                if grant.proven and family is not None:
                    assert self.principal(family.of).subject == grant.subject
                if not grant.proven:
                    beside = [each for each in self.access if life.refresh in each.came_with]
                    assert grant.lease.expires_at <= max(each.ends_at for each in beside)

    @invariant()
    def nothing_unproved_is_kept_without_a_session(self) -> None:
        rows = self.ledger.rows
        for grant in rows.grants.values():
            if grant.is_unproved and grant.in_flight_since is None:
                assert rows.has_sessions(grant.id)

    @invariant()
    def each_access_token_has_few_refresh_tokens_beside_it(self) -> None:
        rows = self.ledger.rows
        for trace in rows.tokens.values():
            grants = [rows.grant_of(each) for each in trace.came_with]
            unproved = [each for each in grants if each is not None and each.is_unproved]
            assert len(unproved) <= MAX_UNPROVED

    @invariant()
    def every_trace_and_session_names_a_grant_that_is_there(self) -> None:
        rows = self.ledger.rows
        assert {each.grant for each in rows.sessions.values()} <= rows.grants.keys()
        assert {each.grant for each in rows.tokens.values() if each.grant} <= rows.grants.keys()


TestNoSessionOutlivesWhatItBrought = Issuing.TestCase
TestNoSessionOutlivesWhatItBrought.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None
)
