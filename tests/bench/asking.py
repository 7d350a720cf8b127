"""Logins that wait for introspection: many tokens at once, one token at once, a hung issuer."""

import time
from collections.abc import Iterator

from tests.bench.bench import Bench, must_be_accepted
from tests.bench.figures import Row, medians, of_load, waits
from tests.bench.minting import opaque, user_name
from tests.bench.speech import Login
from tests.bench.tokens import grant_tokens
from tests.issuer.control import ALWAYS
from tests.running_daemon import RunningDaemon

ROUNDS = 3
PROCESSES = 200
DELAY = 0.05  # seconds that the issuer waits
VICTIMS = 20  # logins that wait for the hung issuer
ONCE_OPEN = 200  # logins when nobody waits for it any more
TRIES = 10  # logins until then, one after the other
CALLS = "/introspect"


def measure(bench: Bench) -> Iterator[Row]:
    """Measure a slow issuer: the fast one, which waits before each answer."""
    rounds = bench.rounds(ROUNDS)
    unseen = [marked(user_name("asked", n)) for n in range(rounds * (PROCESSES + 1))]
    bench.fast.wait(DELAY)
    with bench.introspecting_daemon(issuer=bench.fast) as daemon:
        must_be_accepted(bench.load(daemon, [[marked("first@contoso.test")]]))

        def at_once(logins: list[Login]) -> tuple[dict[str, float], int]:
            began = time.monotonic()
            load = bench.load(daemon, [[login] for login in logins], opens=False)
            return of_load(must_be_accepted(load)), len(bench.fast.calls(began))

        different = [at_once([unseen.pop() for _ in range(PROCESSES)]) for _ in range(rounds)]
        same = [at_once([unseen.pop()] * PROCESSES) for _ in range(rounds)]
    bench.fast.wait(0.0)
    what = f"{PROCESSES} processes at once, issuer {DELAY * 1000:.0f} ms"
    for key, name, found in (
        ("different", "a token each", different),
        ("same", "one token", same),
    ):
        calls = "/".join(str(calls) for _, calls in found)
        note = f"max: the last answer; calls to the issuer: {calls}"
        figures = medians([figures for figures, _ in found])
        yield Row(f"{what}, {name}", figures, note, key, is_of_one=False)


def marked(user: str) -> Login:
    """Return a user's login by an opaque token of the fast issuer."""
    return user, f"bearer:{opaque(user)}"


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
        is_of_one=False,
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
