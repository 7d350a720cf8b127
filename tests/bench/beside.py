"""Logins beside subscribers: whether one that keeps up, or one that hangs, is felt."""

from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.bench import Bench, dealt, must_be_accepted
from tests.bench.figures import Figures, Row, medians, of_load
from tests.issuer.running import ALICE
from tests.running_daemon import RunningDaemon, configuration
from tests.subscribed import Listening, installed

ROUNDS = 5  # taking turns, so that a busy machine is felt by all alike
LOGINS = {1: 200, 50: 1000}  # a round, by connections; one token, so no issuer is asked
BESIDE = {
    "no subscriber": (),
    "one that keeps up": (("teller", {}),),
    "one that hangs, and one that keeps up": (("naughty", {"how": "blocks"}), ("teller", {})),
}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure cached logins at daemons that differ in their subscribers only."""
    login = (ALICE, bench.issuer.tokens()["access_token"])
    with ExitStack() as stack:
        daemons = {name: _started(bench, stack, at) for at, name in enumerate(BESIDE)}
        for daemon in daemons.values():
            must_be_accepted(bench.load(daemon, [[login]]))
        for connections, count in LOGINS.items():
            rounds: dict[str, list[Figures]] = {name: [] for name in daemons}
            for _ in range(bench.rounds(ROUNDS)):
                for name, daemon in daemons.items():
                    load = bench.load(
                        daemon, dealt([login] * bench.few(count, connections), connections)
                    )
                    rounds[name].append(of_load(must_be_accepted(load)))
            for name, figures in rounds.items():
                what = f"cached login, {connections} connection{'s' * (connections > 1)}"
                yield Row(f"{what}; {name}", medians(figures), is_of_one=connections == 1)


def _started(bench: Bench, stack: ExitStack, at: int) -> RunningDaemon:
    folder = bench.folder / f"beside{at}"
    folder.mkdir()
    stack.enter_context(installed())
    heard, text = [], configuration(bench.issuer)
    for plugin, keys in list(BESIDE.values())[at]:
        heard.append(stack.enter_context(Listening(folder / plugin)))
        text += heard[-1].table(plugin, **keys) + "\n"
    daemon = stack.enter_context(RunningDaemon(folder, text))
    for each in heard:
        each.wait("state", 1)
    return daemon
