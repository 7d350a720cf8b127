"""Figures, medians of rounds, and the one table they are shown in."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.load import Load

WAIT, CPU = "p50 ms", "CPU µs"  # the two that are shown against the floor
RATIOS = {WAIT: "p50/floor", CPU: "CPU/floor"}
PEER = {WAIT: "p50/peer", "per s": "per s/peer"}  # not in the table
COLUMNS = (
    WAIT,
    RATIOS[WAIT],
    "p99 ms",
    "max ms",
    "per s",
    CPU,
    RATIOS[CPU],
    "server %",
    "issuer %",
    "load %",
    "MiB",
)
SHOWN = dict.fromkeys((CPU, "server %", "issuer %", "load %", "MiB"), ".0f")
SHOWN |= {"per s": ",.0f", "max ms": ",.1f", "p99 ms": ",.2f", WAIT: ",.2f"}
LEGEND = """\
Waits are from sending a login to its answer; where there are rounds, medians of them. A login
counted in `per s` was committed; one that is opened, twice. CPU µs: user and system, of the server
for each login. Beside the floor: the ratio to a uvloop server that checks one RS256 signature and
commits one row, in the same round where the two took turns, else in rounds before and after. CPU
in % of one core: of the server, of the issuer, and of the load generator, which is no bottleneck
while it is far from 100. MiB: the daemon's resident memory. A hold of the loop is the CPU time of
one callback, the least of five runs: nothing else happens meanwhile."""

Figures = Mapping[str, float]  # by column, or by a name of its own, which is not in the table


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    figures: Figures
    note: str = ""
    key: str = ""  # what the aims and the plot know it by; empty: neither has it
    is_of_one: bool = True  # its waits: one connection's, so that the floor's are beside them


def percentile(values: Iterable[float], part: float) -> float:
    """Return the smallest value that at least this part of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def waits(seconds: Sequence[float]) -> dict[str, float]:
    """Return how long something took, in the columns' milliseconds."""
    return {
        WAIT: percentile(seconds, 0.5) * 1000,
        "p99 ms": percentile(seconds, 0.99) * 1000,
        "max ms": max(seconds) * 1000,
    }


def of_load(load: Load) -> dict[str, float]:
    """Return what a load came to. CPU is in percent of one core; load is the generator's."""
    return {
        **waits(load.waits),
        "per s": len(load.waits) / load.seconds,
        CPU: 1e6 * load.server_cpu / len(load.waits),
        "server %": 100 * load.server_cpu / load.seconds,
        "issuer %": 100 * load.issuer_cpu / load.seconds,
        "load %": 100 * load.own_cpu / load.seconds,
    }


def against(floor: Figures, figures: Figures) -> dict[str, float]:
    """Return how many times the floor they are."""
    return {ratio: figures[name] / floor[name] for name, ratio in RATIOS.items() if name in figures}


def against_peer(peer: Figures, figures: Figures) -> dict[str, float]:
    """Return how many times those of another program they are, which the aims speak of."""
    return {PEER[name]: figures[name] / peer[name] for name in PEER}


def medians(rounds: Sequence[Figures]) -> dict[str, float]:
    """Return each figure's median over the rounds."""
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def cells(row: Row) -> list[str]:
    """Return a row's figures as they are shown, one a column."""
    return [
        format(row.figures[name], SHOWN.get(name, ".2f")) if name in row.figures else ""
        for name in COLUMNS
    ]


def table(facts: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return the table as plain text, the facts above it."""
    lines: list[tuple[str, ...]] = [("", *COLUMNS, "")]
    lines += [(row.what, *cells(row), row.note) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head = [f"{name}: {value}" for name, value in facts.items()]
    return "\n".join([*head, "", *_lined(lines, widths), "", LEGEND])


def _lined(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterable[str]:
    for first, *middle, note in lines:
        aligned = "  ".join(
            f"{cell:>{width}}" for cell, width in zip(middle, widths[1:-1], strict=True)
        )
        yield f"{first:<{widths[0]}}  {aligned}  {note}".rstrip()
