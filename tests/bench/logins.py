"""Cold and cached logins of signed tokens (jwt, RS256)."""

from collections.abc import Iterator

from tests.bench.bench import Bench, dealt, must_be_accepted
from tests.bench.figures import Row, medians, of_load
from tests.bench.tokens import grant_tokens

ROUNDS = 3
COLD = {1: 100, 50: 550}  # logins a round, by connections; each of a token of its own
CACHED = {1: 200, 50: 1500}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure logins whose token was never seen, and logins with one that was."""
    tokens = grant_tokens(bench.issuer, 1 + ROUNDS * sum(COLD.values()), prefix="login")
    unseen = [(each.user, each.access) for each in tokens]
    seen = unseen.pop()
    with bench.daemon() as daemon:
        must_be_accepted(bench.load(daemon, [[seen]]))  # the keys are fetched now
        for connections in COLD:
            cold, cached = [], []
            for _ in range(ROUNDS):
                fresh = [unseen.pop() for _ in range(COLD[connections])]
                load = bench.load(daemon, dealt(fresh, connections))
                cold.append(of_load(must_be_accepted(load)))
                load = bench.load(daemon, dealt([seen] * CACHED[connections], connections))
                cached.append(of_load(must_be_accepted(load)))
            plural = "connection" if connections == 1 else "connections"
            yield Row(f"cold login, {connections} {plural}", medians(cold))
            yield Row(f"cached login, {connections} {plural}", medians(cached))
