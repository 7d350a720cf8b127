"""What tokens for others cost: tickets beside a login, a source's token, one call for many."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from sessiond.qipc import MessageKind, encode_message, text
from sessiond.testing import FakeProcess, calls
from tests.bench import load
from tests.bench.bench import FLOOR, Bench, must_be_accepted, taking_turns
from tests.bench.figures import Row, medians, of_load
from tests.bench.load import Caller, Load, Plan, call_until_done
from tests.bench.minting import AUDIENCE, CLIENT
from tests.bench.speech import Kdb, Verdict, members_of
from tests.issuer.running import SERVICE
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon

CALLS = 200  # a round, one after the other: tickets are good for 30 s
ROUNDS = 5
ASKERS = 200  # processes at once, for a token that nobody has yet
DELAY = 0.05  # seconds that the issuer takes for it
SOURCE = "quotes"
GATEWAY, BEHIND = "q0", "rdb1"
ISSUED, SPENT, LOGIN, KEPT = (
    "a ticket, issued",
    "login by a ticket",
    "- by a token that was never seen",
    "a source's token, from memory",
)
NOTES = {
    ISSUED: "signed; nothing is written",
    SPENT: "checked, spent, its session committed",
}


class Answers(Kdb):
    """Calls that are answered with `ok`, or with a reason."""

    def verdict(self, answer: bytes) -> Verdict:
        return Verdict(text(members_of(answer)["reason"]), b"")


def measure(bench: Bench) -> Iterator[Row]:
    """Measure each in turns with the floor and a login; then one token for many at once."""
    count, rounds = bench.few(CALLS), bench.rounds(ROUNDS)
    *unseen, mine = bench.minted("lent", rounds * count + 1)
    with ExitStack() as stack:
        daemon = stack.enter_context(_daemon(bench))
        farm = stack.enter_context(PeerFarm(daemon.address, 2))
        gateway, behind = (
            FakeProcess(end, name=name)
            for end, name in zip(farm.sockets, (GATEWAY, BEHIND), strict=True)
        )
        for process in (gateway, behind):
            process.hello()
        session = gateway.log_in(*mine)["session"]
        asked = encode_message(MessageKind.SYNC, calls.ticket_call(session, BEHIND))
        token = encode_message(MessageKind.SYNC, calls.token_call(SOURCE))
        put = partial(_put, bench, daemon)
        put(gateway, [token])  # it is fetched now

        def spent(_: int) -> Load:
            tickets = [gateway.ticket(session, BEHIND)["ticket"] for _ in range(count)]
            return put(behind, Kdb().logins((mine[0], ticket) for ticket in tickets))

        def login(number: int) -> Load:
            return put(behind, Kdb().logins(unseen[number * count : (number + 1) * count]))

        contestants: dict[str, Callable[[int], Load]] = {
            FLOOR: lambda _: bench.floor_round(),
            ISSUED: lambda _: put(gateway, [asked] * count),
            SPENT: spent,
            LOGIN: login,
            KEPT: lambda _: put(gateway, [token] * count),
        }
        found = taking_turns(rounds, contestants)
    yield from (
        Row(what, found[what], NOTES.get(what, "")) for what in contestants if what != FLOOR
    )
    yield _at_once(bench)


def _at_once(bench: Bench) -> Row:
    """Have many processes ask for a token that is not there yet."""
    askers = bench.few(ASKERS)
    token = encode_message(MessageKind.SYNC, calls.token_call(SOURCE))
    found: list[tuple[dict[str, float], int]] = []
    for _ in range(bench.rounds(ROUNDS)):
        bench.fast.wait(DELAY)
        with _daemon(bench) as daemon, ExitStack() as stack:
            plan = _plan(bench, daemon)
            connections = load.connected(plan, askers, stack)
            made = Load()
            callers = [
                Caller(each, Answers(), iter([token]), opens=False, waits=made.waits)
                for each in connections
            ]
            began = time.monotonic()
            load.measure(plan, made, partial(call_until_done, callers, []))
            for caller in callers:
                made.outcomes += caller.outcomes
            found.append((of_load(must_be_accepted(made)), len(bench.fast.calls(began))))
        bench.fast.wait(0.0)
    calls_made = "/".join(str(each) for _, each in found)
    return Row(
        f"{askers} processes at once, a source's token, issuer {DELAY * 1000:.0f} ms",
        medians([figures for figures, _ in found]),
        f"max: the last answer; calls to the issuer: {calls_made}",
        is_of_one=False,
    )


def _put(
    bench: Bench, daemon: RunningDaemon, process: FakeProcess, requests: Iterable[bytes]
) -> Load:
    """Have one process ask one thing after the other; logins are not opened."""
    made = Load()
    caller = Caller(process.socket, Answers(), iter(list(requests)), opens=False, waits=made.waits)
    load.measure(_plan(bench, daemon), made, partial(call_until_done, [caller], []))
    made.outcomes += caller.outcomes
    return made


def _plan(bench: Bench, daemon: RunningDaemon) -> Plan:
    return Plan(daemon.address, daemon.pid, (bench.fast.pid,), [])


@contextmanager
def _daemon(bench: Bench) -> Iterator[RunningDaemon]:
    """Run a daemon with tickets, and with a source whose tokens are the fast issuer's."""
    secret = bench.folder / "lending.secret"
    secret.touch(mode=0o600)
    secret.write_text(SERVICE[1])
    extra = f"""
verify = "jwt"
audience = ["{AUDIENCE}"]
typ = ["JWT"]
[tickets]
audiences = ["{BEHIND}"]
[[source]]
name = "{SOURCE}"
issuer = "corp"
client_id = "{CLIENT}"
client_secret_file = "{secret}"
processes = ["q*"]
[[access.process]]
name = "{BEHIND}"
peers = [{os.getuid()}]
[[access.process]]
name = "q*"
peers = [{os.getuid()}]
"""
    with bench.fast_daemon(extra=extra) as daemon:
        yield daemon
