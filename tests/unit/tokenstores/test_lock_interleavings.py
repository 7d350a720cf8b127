"""Every order in which three clients, a slow disk and time can come together at one lock.

A small explicit-state model checker. A client asks, waits, reads on taking, writes, releases,
crashes and hangs up; a write is begun, is on disk or fails, and its end is heard of; an operator
breaks the lock; time passes in steps. From the first state every step is taken in every state, and
in each of them the rules are held against what the lock says. Time is kept as ages, no longer than
matters, so that the states are finitely many; the rules are the checker's own.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from sessiond.tokenstores.lock import Holder, Lock, Taken, WaitedTooLong, Waiter

CLIENTS = range(3)
WRITES = 2  # of one client at a time
DISK, ENDED = "on disk", "ended"  # what has become of a write that was begun
NOBODY = -1
LIVE, DEAD = 1, 0  # fences, once it is only of interest whether they hold


@dataclass(frozen=True, slots=True)
class Client:
    """One program, as it sees itself."""

    is_waiting: bool = False
    fence: int | None = None  # that it believes to hold
    is_fresh: bool = True  # what it read when it took the lock is what is on disk


@dataclass(frozen=True, slots=True)
class World:
    """Everything there is. Times are relative to now."""

    lock: Lock = field(default_factory=Lock)
    clients: tuple[Client, ...] = (Client(),) * len(CLIENTS)
    writes: tuple[tuple[int, int], ...] = ()  # begun, not on disk: (client, fence)
    durable: tuple[tuple[int, int], ...] = ()  # on disk, and the lock has not heard of it
    idle_for: int = 0  # since the last progress, by the checker's own count


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient each client is, and how long a request lasts, in steps of time."""

    patience: tuple[int, ...]
    longest: int


def first_free(world: World) -> int:
    fences = [each.fence for each in world.clients if each.fence is not None]
    return max([LIVE, *fences, *(fence for _, fence in (*world.writes, *world.durable))]) + 1


def settled(world: World, rules: Rules) -> World:
    """Settle, and hold what came of it against the rules."""
    before, fence = world.lock, first_free(world)
    lock, outcomes = before.settled(0, fence)
    under_way = [*world.writes, *world.durable]
    queue = list(before.waiters)
    is_free = before.holder is None or (before.holder.is_over and not under_way)
    due = [each for each in queue if is_free or (not under_way and world.idle_for >= each.patience)]
    taken = [each for each in outcomes if isinstance(each, Taken)]
    gone = [each.waiter for each in outcomes if isinstance(each, WaitedTooLong)]
    # In order, as soon as it is due and no sooner, and by one alone.
    assert [each.waiter for each in taken] == due[:1]
    assert gone == [each for each in queue if each.until <= 0 and each not in due[:1]]
    clients = list(world.clients)
    for each in gone:
        clients[each.pid] = replace(clients[each.pid], is_waiting=False)
    if not taken:
        assert lock.waiters == tuple(each for each in queue if each not in gone)
        return replace(world, lock=lock, clients=tuple(clients))
    (one,) = taken
    assert one.fence == fence
    assert lock.is_held_by(fence)
    assert (one.was is None) is is_free
    clients[one.waiter.pid] = Client(fence=fence)  # it reads again: what is on disk now
    return replace(world, lock=lock, clients=tuple(clients), idle_for=0)


def steps(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    for number in CLIENTS:
        yield from steps_of(world, number, rules)
    for number, fence in set(world.writes):
        yield "on disk", on_disk(world, number, fence)
        yield "failed", ended(world, world.writes, number, fence)
    for number, fence in set(world.durable):
        yield "ended", ended(world, world.durable, number, fence)
    yield "broken", replace(world, lock=world.lock.broken())
    yield "time", later(world)


def steps_of(world: World, number: int, rules: Rules) -> Iterator[tuple[str, World]]:
    client, lock = world.clients[number], world.lock
    if client.is_waiting:
        yield "hung up", with_client(world, number, Client(), lock.left(number))
    elif client.fence is None:
        patience, until = rules.patience[number], rules.longest
        waiter = Waiter(number=number, uid=0, pid=number, patience=patience, until=until)
        yield "asked", with_client(world, number, Client(is_waiting=True), lock.asked(waiter))
    else:
        yield "crashed", with_client(world, number, Client(), lock)  # its fence is with nobody
        is_live = lock.holder is not None and lock.holder.fence == client.fence
        is_live = is_live and lock.holder is not None and not lock.holder.is_over
        if len(under_way(world, number)) < WRITES:
            yield "write", write(world, number, client.fence, is_live=is_live)
        released = lock.released(client.fence)
        assert (released is not None) is is_live  # a dead fence is told so
        yield "release", with_client(world, number, Client(), released or lock)


def under_way(world: World, number: int) -> list[int]:
    return [fence for each, fence in (*world.writes, *world.durable) if each == number]


def write(world: World, number: int, fence: int, *, is_live: bool) -> World:
    lock = world.lock.write_begun(fence, 0)
    assert (lock is not None) is is_live  # dead fences write nothing
    if lock is None:
        return with_client(world, number, Client(), world.lock)
    return replace(world, lock=lock, writes=(*world.writes, (number, fence)), idle_for=0)


def on_disk(world: World, number: int, fence: int) -> World:
    """Have a write on disk: everybody else who holds the lock would be wrong about the value."""
    holder = world.lock.holder
    assert holder is not None
    assert holder.fence == fence  # what is on disk is of who holds the lock, to the last moment
    clients = tuple(
        replace(each, is_fresh=each.is_fresh and each.fence in (None, fence))
        for each in world.clients
    )
    left = list(world.writes)
    left.remove((number, fence))
    durable = (*world.durable, (number, fence))
    return replace(world, clients=clients, writes=tuple(left), durable=durable)


def ended(world: World, among: tuple[tuple[int, int], ...], number: int, fence: int) -> World:
    left = list(among)
    left.remove((number, fence))
    lock = world.lock.write_ended(0)
    if among is world.writes:
        return replace(world, lock=lock, writes=tuple(left), idle_for=0)
    return replace(world, lock=lock, durable=tuple(left), idle_for=0)


def with_client(world: World, number: int, client: Client, lock: Lock) -> World:
    clients = (*world.clients[:number], client, *world.clients[number + 1 :])
    return replace(world, lock=lock, clients=clients)


def later(world: World) -> World:
    """Have a step of time pass: now is 0 again, and all else is longer ago."""
    lock = world.lock
    waiters = tuple(replace(each, until=each.until - 1) for each in lock.waiters)
    holder = lock.holder
    if holder is not None:
        holder = replace(holder, progressed_at=holder.progressed_at - 1)
    return replace(world, lock=Lock(holder, waiters), idle_for=world.idle_for + 1)


def shortened(world: World, rules: Rules) -> World:
    """Return the world without what makes no difference: old ages, and which fences are dead."""
    oldest = max(rules.patience)
    lock = world.lock
    live = None if lock.holder is None else lock.holder.fence

    def known(fence: int) -> int:
        return LIVE if fence == live else DEAD

    if lock.holder is not None:
        held = lock.holder
        age = max(held.progressed_at, -oldest)
        holder = Holder(
            fence=LIVE, uid=0, pid=0, since=0, progressed_at=age,
            writes=held.writes, is_over=held.is_over,
        )  # fmt: skip
        lock = replace(lock, holder=holder)
    clients = tuple(
        each if each.fence is None else replace(each, fence=known(each.fence))
        for each in world.clients
    )
    return World(
        lock=lock,
        clients=clients,
        writes=tuple(sorted((number, known(fence)) for number, fence in world.writes)),
        durable=tuple(sorted((number, known(fence)) for number, fence in world.durable)),
        idle_for=min(world.idle_for, oldest) if lock.holder is not None else 0,
    )


def must_hold(world: World, rules: Rules) -> None:
    """Hold the rules that are of states against one."""
    holders = [
        number
        for number, each in enumerate(world.clients)
        if each.fence is not None and world.lock.is_held_by(each.fence)
    ]
    assert len(holders) <= 1
    for number in holders:  # nothing is lost: who holds the lock has read what was written last
        assert world.clients[number].is_fresh
    waiting = {number for number, each in enumerate(world.clients) if each.is_waiting}
    assert {each.pid for each in world.lock.waiters} == waiting
    assert not waiting or world.lock.holder is not None  # a free lock is nobody's to wait for
    must_wake(world, rules)


def must_wake(world: World, rules: Rules) -> None:
    """See that whoever looks when he is told to is in time, and that everybody's wait ends."""
    if not world.lock.waiters:
        return
    under_way = world.writes or world.durable
    told = min(world.lock.look_at(each, 0) for each in world.lock.waiters)
    assert told > 0  # it was settled
    passed, still = 0, world
    while not (outcomes := still.lock.settled(0, 9)[1]):
        passed, still = passed + 1, later(still)
        assert passed <= rules.longest
    assert told == passed or (under_way and told < passed), (told, passed, outcomes)


def explored(rules: Rules) -> tuple[int, Counter[str]]:
    """Return how many states there are, and how often each step was taken."""
    first = World()
    known, ahead, taken = {first}, [first], Counter[str]()
    come_to = set[World]()  # before they are settled: most are come to in several ways
    while ahead:
        world = ahead.pop()
        for name, there in steps(world, rules):
            taken[name] += 1
            if there in come_to:
                continue
            come_to.add(there)
            now = shortened(settled(there, rules), rules)
            if now not in known:
                must_hold(now, rules)
                known.add(now)
                ahead.append(now)
    return len(known), taken


STEPS = {
    "asked", "hung up", "crashed", "write", "release", "on disk", "failed", "ended", "broken",
    "time",
}  # fmt: skip


@pytest.mark.parametrize(
    ("patience", "longest", "many"),
    [((1, 1, 1), 3, 10_885), ((1, 2, 3), 4, 34_286)],
    ids=["as patient as each other", "unlike each other"],
)
def test_every_interleaving_of_three_clients_keeps_the_rules(
    patience: tuple[int, ...], longest: int, many: int
) -> None:
    states, taken = explored(Rules(patience, longest))
    assert set(taken) == STEPS
    assert states == many


def takes_over_during_a_write(lock: Lock, waiter: Waiter, now: float) -> bool:
    return lock.holder is None or now >= lock.holder.progressed_at + waiter.patience


def waits_too_long(lock: Lock, waiter: Waiter, now: float) -> bool:
    held = lock.holder
    return held is None or (not held.writes and now > held.progressed_at + waiter.patience)


def never_takes_over(lock: Lock, _: Waiter, __: float) -> bool:
    return lock.holder is None


@pytest.mark.parametrize(
    "wrong", [takes_over_during_a_write, waits_too_long, never_takes_over], ids=lambda f: f.__name__
)
def test_a_lock_that_goes_by_another_rule_is_found_out(
    wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.tokenstores.lock._is_due", wrong)
    with pytest.raises(AssertionError):
        explored(Rules((1, 2, 2), 3))


@pytest.mark.parametrize("method", ["left", "write_ended", "released", "asked"])
def test_a_lock_that_does_not_hear_of_a_step_is_found_out(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lock, method, lambda self, *_: self)
    with pytest.raises(AssertionError):
        explored(Rules((1, 2, 2), 3))
