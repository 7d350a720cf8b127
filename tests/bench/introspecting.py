"""Logins of opaque tokens, which an issuer is asked about (RFC 7662), beside Dovecot's."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count

from tests.bench import dovecot
from tests.bench.asking import marked
from tests.bench.bench import FLOOR, Bench, Server, dealt, must_be_accepted, taking_turns
from tests.bench.dovecot import Dovecot
from tests.bench.figures import Row
from tests.bench.load import Load
from tests.bench.minting import opaque, user_name
from tests.bench.speech import Login

ROUNDS = 5
MODES = ("post", "auth", "get")  # Dovecot's; post is RFC 7662's
PEERS = {"introspection": "dovecot-post"}
# Logins a round, by the seconds that the issuer waits and the connections.
LOGINS = {(0.0, 1): 200, (0.0, 50): 400, (0.05, 1): 10, (0.05, 50): 200}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure an issuer that answers at once, and one that takes its time."""
    numbers = count()
    with ExitStack() as stack:
        daemon = stack.enter_context(bench.introspecting_daemon(issuer=bench.fast))
        must_be_accepted(bench.load(daemon, [[marked("first@contoso.test")]]))
        dovecots = _dovecots(bench, stack)
        for (wait, connections), logins in LOGINS.items():
            bench.fast.wait(wait)
            made = partial(_loads, bench, numbers, bench.few(logins, connections), connections)
            floor = partial(bench.floor_round, connections, max(logins, connections))
            contestants = {FLOOR: lambda _, floor=floor: floor()} | {
                "introspection": made(daemon, marked)
            }
            for mode, other in dovecots.items():
                if not wait or mode == MODES[0]:
                    contestants[f"dovecot-{mode}"] = made(other, _plain, kind="Dovecot")
            found = taking_turns(bench.rounds(ROUNDS), contestants, PEERS)
            del found[FLOOR]
            case = f"{wait * 1000:.0f}.{connections}"
            plural = "s" * (connections > 1)
            for name, figures in found.items():
                what = f"introspection, issuer {wait * 1000:.0f} ms, {connections} connection"
                shown = f"- Dovecot, by {name.removeprefix('dovecot-')}"
                if name == "introspection":
                    shown = what + plural
                yield Row(shown, figures, key=f"{name}.{case}")
    bench.fast.wait(0.0)


def _loads(
    bench: Bench,
    numbers: Iterator[int],
    logins: int,
    connections: int,
    server: Server,
    login: Callable[[str], Login],
    *,
    kind: str = "sessiond",
) -> Callable[[int], Load]:
    def load(_: int) -> Load:
        unseen = [login(user_name("opaque", next(numbers))) for _ in range(logins)]
        return bench.load(server, dealt(unseen, connections), kind=kind, opens=False)

    return load


def _plain(user: str) -> Login:
    return user, opaque(user)


def _dovecots(bench: Bench, stack: ExitStack) -> dict[str, Dovecot]:
    if not dovecot.version():
        return {}
    return {
        mode: stack.enter_context(
            Dovecot(bench.folder / mode, dovecot.asking(mode, bench.fast.issuer))
        )
        for mode in MODES
    }
