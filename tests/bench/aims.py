"""What was aimed at, beside what was measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.figures import CPU, PEER, RATIOS, WAIT, Figures, Row

By = Mapping[str, Figures]  # the figures of a row, by its key


@dataclass(frozen=True, slots=True)
class Aim:
    """One, and how it stands."""

    what: str
    wanted: str
    measured: str
    verdict: str  # met, or by how much it is missed


@dataclass(frozen=True, slots=True)
class _Wanted:
    what: str
    bound: float
    unit: str
    measured: Callable[[By], float]
    is_least: bool = False  # the bound is the least, and not the most


_WANTED = (
    _Wanted("cold login, p50 against the floor", 1.6, "", lambda by: by["cold.1"][RATIOS[WAIT]]),
    _Wanted(
        "cold logins a second, 50 connections, against Dovecot's",
        0.5,
        "",
        lambda by: by["cold.50"][PEER["per s"]],
        is_least=True,
    ),
    _Wanted(
        "repeat login, p50 against Dovecot's from its cache",
        2.5,
        "",
        lambda by: by["repeat.1"][PEER[WAIT]],
    ),
    _Wanted("CPU of a cold login, 1 connection", 200, "µs", lambda by: by["cold.1"][CPU]),
    _Wanted("CPU of a cold login, 50 connections", 200, "µs", lambda by: by["cold.50"][CPU]),
    _Wanted(
        "introspection, issuer 0 ms, p50 against Dovecot's",
        3,
        "",
        lambda by: by["introspection.0.1"][PEER[WAIT]],
    ),
    _Wanted("200 tokens at a 50 ms issuer", 300, "ms", lambda by: by["different"]["max ms"]),
    _Wanted("200 times one token there", 80, "ms", lambda by: by["same"]["max ms"]),
    _Wanted("storm: refreshed too late", 0, "", lambda by: by["storm"]["late"]),
    _Wanted("storm: total against the least", 1.1, "", lambda by: by["storm"]["against least"]),
    _Wanted(
        "storm: p99 of a login meanwhile against idle",
        2,
        "",
        lambda by: by["storm.login"]["against idle"],
    ),
    _Wanted("revocation to push, p99 over a round trip", 1, "ms", lambda by: by["push"]["over ms"]),
    _Wanted(
        "a user of 1,000 sessions, to the last push", 25, "ms", lambda by: by["user"]["max ms"]
    ),
    _Wanted(
        "memory of a session with a grant of its own",
        2,
        "KiB",
        lambda by: by["sessions.100000"]["KiB each"],
    ),
    _Wanted(
        "CPU of a cold login with 100,000 sessions against 1,000",
        1.1,
        "",
        lambda by: by["sessions.100000"][CPU] / by["sessions.1000"][CPU],
    ),
    _Wanted("read of a stored token, p50", 1, "ms", lambda by: by["stores.read"][WAIT]),
    _Wanted("start with 100,000 sessions", 2000, "ms", lambda by: by["start.100000"]["max ms"]),
    _Wanted("start without a session", 600, "ms", lambda by: by["start.0"]["max ms"]),
    _Wanted("stop with 100,000 sessions", 1000, "ms", lambda by: by["stop.100000"]["max ms"]),
)


def aims(rows: Sequence[Row]) -> Iterator[Aim]:
    """Yield those whose rows were measured."""
    by = {row.key: row.figures for row in rows if row.key}
    for wanted in _WANTED:
        try:
            measured = wanted.measured(by)
        except KeyError:
            continue
        is_met = measured >= wanted.bound if wanted.is_least else measured <= wanted.bound
        bound = f"at {'least' if wanted.is_least else 'most'} {_said(wanted.bound, wanted.unit)}"
        verdict = "met" if is_met else f"missed: {_missed(measured, wanted)}"
        yield Aim(wanted.what, bound, _said(measured, wanted.unit), verdict)


def _missed(measured: float, wanted: _Wanted) -> str:
    if not wanted.bound:
        return f"{measured:,.0f} more"
    return f"{measured / wanted.bound:,.3g} times that"


def _said(value: float, unit: str) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
