"""Every order in which two actors' steps can come, and what must hold after each step."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest

from sessiond.core.changes import (
    BeginRefresh,
    Change,
    Close,
    LiftRevocation,
    Refresh,
    Revoke,
    Rotate,
)
from sessiond.core.decide import decide
from sessiond.core.principal import Principal
from sessiond.core.revocation import Scope
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, SessionId
from sessiond.core.verdict import Verdict
from sessiond.core.written_rows import Rows
from tests.fakes import (
    RULES,
    START,
    bind,
    login,
    presented,
    principal,
    process_key,
    renewal,
    token_hash,
    verdict,
)

SECOND = timedelta(seconds=1)
REVOCATION = UUID(int=77)


class World:
    """The rows, a clock that goes on a second a step, and what every session was let in with."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.now = START + timedelta(minutes=1)
        self.issued: dict[SessionId, datetime] = {}  # when its newest token was issued
        self.left: set[tuple[int, int]] = set()  # process and handle that a user left

    def ask(self, change: Change[Any]) -> Any:
        decision = decide(self.rows, change, self.now, RULES)
        for write in decision.writes:
            self.rows.apply(write)
        return decision.answer

    def check(self) -> None:
        """Whatever has happened, these hold."""
        for session in self.rows.sessions.values():
            assert session.grant in self.rows.grants
            for revocation in self.rows.revocations_of(session.principal):
                assert self.issued[session.id] > revocation.at, "a revoked session is alive"
            assert (session.process.pid, session.handle) not in self.left
        for grant in self.rows.grants.values():
            owner = Principal(issuer=grant.issuer, subject=grant.subject, name="alice")
            for revocation in self.rows.revocations_of(owner):
                assert grant.lease.issued_at > revocation.at, "a revoked grant can be refreshed"


Step = Callable[[World], None]


class User:
    """One user's life at one process, step by step; `shared` tokens are another's too."""

    def __init__(self, number: int, who: Principal, *, shared: bool = False) -> None:
        self.number, self.who, self.pid = number, who, 100 * number
        self.tokens = "shared" if shared else f"tokens{number}"
        self.seen: Verdict | None = None
        self.session = login(number).session
        self.is_in = False
        self.refreshed: Verdict | None = None

    def steps(self) -> list[Step]:
        return [
            self.verify,
            self.open,
            self.bind,
            self.renew,
            self.begin,
            self.rotate,
            self.refresh,
            self.close,
        ]

    def verify(self, world: World) -> None:
        """Verdicts may be of long before they are acted upon; tokens are older still."""
        self.seen = verdict(self.who, begin=START)

    def open(self, world: World) -> None:
        assert self.seen is not None
        tokens = presented(self.tokens, f"refresh of {self.tokens}", says=self.seen)
        answer = world.ask(login(self.number, tokens, pid=self.pid))
        if isinstance(answer, ActiveSession):
            self.is_in = True
            world.issued[answer.session.id] = START

    def bind(self, world: World) -> None:
        bound = world.ask(bind(self.number, pid=self.pid))
        assert bool(bound) == (self.session in world.rows.sessions)

    def renew(self, world: World) -> None:
        fresh = verdict(self.who, begin=world.now)
        tokens = presented(f"fresh {self.tokens}", says=fresh)
        if isinstance(world.ask(renewal(self.number, tokens, pid=self.pid)), ActiveSession):
            world.issued[self.session] = world.now

    def begin(self, world: World) -> None:
        """The refresher asks the issuer for whatever grant the user's refresh token is on."""
        known = world.rows.tokens.get(token_hash(f"refresh of {self.tokens}"))
        self.grant = None if known is None else known.grant
        if self.grant is not None:
            world.ask(BeginRefresh(grant=self.grant, at_once=True))

    def rotate(self, world: World) -> None:
        """The issuer answers now; what it issues is dated now."""
        self.refreshed = None
        if self.grant is None:
            return
        name = f"next refresh of {self.tokens} at {world.now}"
        change = Rotate(grant=self.grant, refresh=token_hash(name), refresh_token=Secret(name))
        there = self.grant in world.rows.grants
        assert world.ask(change) == there, "a refresh of a dropped grant must be thrown away"
        if there:
            self.refreshed = verdict(self.who, begin=world.now)

    def refresh(self, world: World) -> None:
        if self.grant is None or self.refreshed is None:
            return
        hanging = [each.id for each in world.rows.sessions_of(self.grant)]
        change = Refresh(grant=self.grant, verdict=self.refreshed, draw=0.5)
        there = self.grant in world.rows.grants
        assert world.ask(change) == there
        if there:
            for session in hanging:
                issued_at = self.refreshed.lease.issued_at
                world.issued[session] = max(world.issued[session], issued_at)

    def close(self, world: World) -> None:
        world.ask(Close(process=process_key(self.pid), handle=self.number))
        world.left.add((self.pid, self.number))


def revoking(scope: Scope, value: str) -> list[Step]:
    """Return an operator's steps."""

    def revoke(world: World) -> None:
        world.ask(Revoke(id=REVOCATION, scope=scope, value=value, reason="a test"))

    return [revoke]


def forgiving() -> list[Step]:
    return [
        *revoking(Scope.USER, "ALICE"),
        lambda world: world.ask(LiftRevocation(id=REVOCATION)),
    ]


def orders(one: int, other: int) -> Iterator[list[int]]:
    """Yield every merge of so many steps of one actor (0) with those of another (1)."""
    for cursors in combinations(range(one + other), other):
        yield [1 if place in cursors else 0 for place in range(one + other)]


def play(actors: Callable[[], tuple[list[Step], list[Step]]]) -> int:
    """Play every order, checking after each step; return how many there were."""
    one, other = actors()
    count = 0
    for order in orders(len(one), len(other)):
        world, programs = World(), [iter(steps) for steps in actors()]
        for actor in order:
            world.now += SECOND
            next(programs[actor])(world)
            world.check()
        count += 1
    return count


@pytest.mark.parametrize(
    ("scope", "value"), [(Scope.USER, "Alice"), (Scope.ISSUER, "corp"), (Scope.ALL, "")]
)
def test_no_session_is_born_after_its_own_death(scope: Scope, value: str) -> None:
    alice = principal()
    assert play(lambda: (User(1, alice).steps(), revoking(scope, value))) == 9


def test_revoking_and_forgiving_between_any_steps() -> None:
    alice = principal()
    assert play(lambda: (User(1, alice).steps(), forgiving())) == 45


def test_two_users_do_not_touch_each_other() -> None:
    def steps(user: User) -> list[Step]:
        def come(world: World) -> None:  # a verdict by itself touches no row
            user.verify(world)
            user.open(world)

        return [come, *user.steps()[2:]]

    def actors() -> tuple[list[Step], list[Step]]:
        return steps(User(1, principal("alice"))), steps(User(2, principal("bob")))

    assert play(actors) == 3432


@pytest.mark.parametrize("at", range(0, 8, 2))
def test_two_sessions_of_one_grant_and_a_revocation_in_between(at: int) -> None:
    def actors() -> tuple[list[Step], list[Step]]:
        one, other = (User(number, principal(), shared=True).steps() for number in (1, 2))
        return one[:5], [*other[:at], *revoking(Scope.USER, "alice"), *other[at:]]

    assert play(actors) == 2002
