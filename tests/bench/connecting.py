"""Cold and repeat logins of signed tokens, beside the floor and Dovecot, by connections."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice

from tests.bench import dovecot
from tests.bench.bench import FLOOR, Bench, Server, dealt, must_be_accepted, taking_turns
from tests.bench.dovecot import Dovecot
from tests.bench.figures import Row
from tests.bench.load import Load
from tests.bench.speech import Login

ROUNDS = 5
LOGINS = {1: 400, 50: 400, 500: 500}  # a round, by connections: 2,000 and more in all
PEERS = {"cold": "dovecot-cold", "repeat": "dovecot-repeat"}
SHOWN = {
    FLOOR: "the floor: one signature, one commit",
    "cold": "cold login",
    "cold-opened": "- and opened",
    "dovecot-cold": "- Dovecot, local validation",
    "repeat": "repeat login",
    "repeat-opened": "- and opened",
    "dovecot-repeat": "- Dovecot, from its cache",
}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure logins whose token was never seen, and logins with one that was."""
    with ExitStack() as stack:
        daemons = [stack.enter_context(bench.fast_daemon()) for _ in range(2)]
        plain, opening = daemons
        dovecots = _dovecots(bench, stack)
        unseen = _unseen(bench)
        seen = bench.minted("seen", 1)[0]
        for daemon in daemons:
            must_be_accepted(bench.load(daemon, [[seen]]))  # the keys are fetched now
        for connections, tokens in unseen.items():
            made = partial(_loads, bench, tokens, seen)
            contestants = {
                FLOOR: made(bench.floor, kind=FLOOR),
                "cold": made(plain, opens=False),
                "cold-opened": made(opening),
                "repeat": made(plain, opens=False, is_repeated=True),
                "repeat-opened": made(opening, is_repeated=True),
            }
            if dovecots:
                fresh, caching = dovecots
                contestants |= {
                    "dovecot-cold": made(fresh, kind="Dovecot"),
                    "dovecot-repeat": made(caching, kind="Dovecot", is_repeated=True),
                }
            found = taking_turns(len(tokens), contestants, PEERS)
            for name, what in SHOWN.items():
                if name in found:
                    beside = f", {connections} connection{'s' * (connections > 1)}"
                    shown = what if what.startswith("-") else what + beside
                    yield Row(shown, found[name], key=f"{name}.{connections}")


def _unseen(bench: Bench) -> dict[int, list[list[list[Login]]]]:
    """Return by connections, by round, what each connection is to send."""
    rounds = bench.rounds(ROUNDS)
    counts = {each: bench.few(count, each) for each, count in LOGINS.items()}
    tokens = bench.minted("unseen", rounds * sum(counts.values()))
    dealing = iter(tokens)
    return {
        connections: [dealt(list(islice(dealing, count)), connections) for _ in range(rounds)]
        for connections, count in counts.items()
    }


def _loads(
    bench: Bench,
    tokens: list[list[list[Login]]],
    seen: Login,
    server: Server,
    *,
    kind: str = "sessiond",
    opens: bool = True,
    is_repeated: bool = False,
) -> Callable[[int], Load]:
    def load(number: int) -> Load:
        logins = tokens[number]
        if is_repeated:
            logins = [[seen] * len(each) for each in logins]
        return bench.load(server, logins, kind=kind, opens=opens)

    return load


def _dovecots(bench: Bench, stack: ExitStack) -> list[Dovecot]:
    """Run Dovecot without and with its cache, where it is installed."""
    if not dovecot.version():
        return []
    started = []
    for name, caches in (("fresh", False), ("caching", True)):
        folder = bench.folder / name
        oauth2 = dovecot.local(folder, bench.fast.minting.pem)
        started.append(stack.enter_context(Dovecot(folder, oauth2, caches=caches)))
    return started
