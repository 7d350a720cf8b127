"""Logins that wait for introspection: many tokens at once, one token at once, a hung issuer."""

from collections.abc import Iterator

from tests.bench.bench import Bench, must_be_accepted
from tests.bench.figures import Row, medians, of_load, waits
from tests.bench.load import Login
from tests.bench.tokens import grant_tokens
from tests.issuer.control import ALWAYS
from tests.running_daemon import RunningDaemon

ROUNDS = 3
PROCESSES = 200
DELAY_MS = 50
VICTIMS = 20  # logins that wait for the hung issuer
ONCE_OPEN = 200  # logins when nobody waits for it any more
TRIES = 10  # logins until then, one after the other
CALLS = "/introspect"


def measure(bench: Bench) -> Iterator[Row]:
    """Measure a slow issuer."""
    count = ROUNDS * (PROCESSES + 1)
    tokens = grant_tokens(bench.issuer, count, prefix="asked", client="qstudio-opaque")
    unseen = [(each.user, f"bearer:{each.access}") for each in tokens]
    bench.issuer.control.fault(CALLS, "delay", count=ALWAYS, delay_ms=DELAY_MS)
    with bench.introspecting_daemon() as daemon:

        def at_once(logins: list[Login]) -> tuple[dict[str, float], int]:
            before = bench.issuer.control.calls(CALLS)
            load = bench.load(daemon, [[login] for login in logins], opens=False)
            figures = of_load(must_be_accepted(load))
            return figures, bench.issuer.control.calls(CALLS) - before

        different = [at_once([unseen.pop() for _ in range(PROCESSES)]) for _ in range(ROUNDS)]
        same = [at_once([unseen.pop()] * PROCESSES) for _ in range(ROUNDS)]
    bench.issuer.control.clear_faults()
    what = f"{PROCESSES} processes at once, issuer {DELAY_MS} ms"
    for name, rounds in (("a token each", different), ("one token", same)):
        calls = "/".join(str(calls) for _, calls in rounds)
        note = f"max: the last answer; calls to the issuer: {calls}"
        yield Row(f"{what}, {name}", medians([figures for figures, _ in rounds]), note)


def measure_hung(bench: Bench) -> Iterator[Row]:
    """Measure an issuer that hangs: at the deadline, beside it, and once the breaker is open."""
    (known,) = grant_tokens(bench.issuer, 1, prefix="known", client="qstudio-opaque")
    cached = (known.user, f"bearer:{known.access}")
    victims = [[(f"victim{n}", f"bearer:hung-{n}")] for n in range(VICTIMS)]
    late = [("late", f"bearer:late-{n}") for n in range(ONCE_OPEN)]
    with bench.introspecting_daemon(extra="timeout = 3.0") as daemon:
        must_be_accepted(bench.load(daemon, [[cached]]))
        before = bench.load(daemon, [[cached] * 200])
        bench.issuer.control.fault(CALLS, "hang", count=ALWAYS)
        hung = bench.load(daemon, victims, meanwhile=cached)
        open_breaker(bench, daemon)
        opened = bench.load(daemon, [late])
        bench.issuer.control.clear_faults()
    yield Row(
        f"hung issuer, deadline 2 s: {VICTIMS} logins that need it",
        waits(hung.waits),
        f"answers: {dict(hung.outcomes)}",
    )
    usual = (
        f"before: p50 {waits(before.waits)['p50 ms']:.2f}, p99 {waits(before.waits)['p99 ms']:.2f}"
    )
    yield Row("- cached login of another process meanwhile", waits(hung.meanwhile), usual)
    yield Row(
        "- logins that need it, once the breaker is open",
        waits(opened.waits),
        f"answers: {dict(opened.outcomes)}",
    )


def open_breaker(bench: Bench, daemon: RunningDaemon) -> None:
    """Log in until nobody waits for the issuer any more.

    Raises:
        RuntimeError: The breaker stays closed.
    """
    for number in range(TRIES):
        load = bench.load(daemon, [[("late", f"bearer:try-{number}")]])
        if load.outcomes["unavailable"]:
            return
    raise RuntimeError(f"the breaker is closed after {TRIES} more logins")
