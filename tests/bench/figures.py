"""Figures, medians of rounds, and the one table they are shown in."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.load import Load

COLUMNS = ("p50 ms", "p99 ms", "max ms", "per s", "daemon %", "issuer %", "load %", "MiB")
SHOWN = {"per s": ",.0f", "daemon %": ".0f", "issuer %": ".0f", "load %": ".0f", "MiB": ".0f"}
LEGEND = """\
Waits are from sending a connect to its answer; where there are rounds, medians of them. A login
counted in `per s` was opened too, and both are on disk; those "at once" are not opened. CPU is in
% of one core: of the daemon, of the issuer, and of the load generator, which is no bottleneck
while it is far from 100. MiB: the daemon's resident memory. A hold of the loop is the CPU time
of one callback, the least of five runs: nothing else happens meanwhile."""

Figures = Mapping[str, float]  # by column


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    figures: Figures
    note: str = ""


def percentile(values: Iterable[float], part: float) -> float:
    """Return the smallest value that at least this part of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def waits(seconds: Sequence[float]) -> dict[str, float]:
    """Return how long something took, in the columns' milliseconds."""
    return {
        "p50 ms": percentile(seconds, 0.5) * 1000,
        "p99 ms": percentile(seconds, 0.99) * 1000,
        "max ms": max(seconds) * 1000,
    }


def of_load(load: Load) -> dict[str, float]:
    """Return what a load came to. CPU is in percent of one core; load is the generator's."""
    return {
        **waits(load.waits),
        "per s": len(load.waits) / load.seconds,
        "daemon %": 100 * load.daemon_cpu / load.seconds,
        "issuer %": 100 * load.issuer_cpu / load.seconds,
        "load %": 100 * load.own_cpu / load.seconds,
    }


def medians(rounds: Sequence[Figures]) -> dict[str, float]:
    """Return each figure's median over the rounds."""
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def table(facts: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return the table as plain text, the facts above it."""
    lines: list[tuple[str, ...]] = [("", *COLUMNS, "")]
    for row in rows:
        cells = (
            format(row.figures[name], SHOWN.get(name, ".2f")) if name in row.figures else ""
            for name in COLUMNS
        )
        lines.append((row.what, *cells, row.note))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head = [f"{name}: {value}" for name, value in facts.items()]
    return "\n".join([*head, "", *_lined(lines, widths), "", LEGEND])


def _lined(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterable[str]:
    for first, *cells, note in lines:
        middle = "  ".join(
            f"{cell:>{width}}" for cell, width in zip(cells, widths[1:-1], strict=True)
        )
        yield f"{first:<{widths[0]}}  {middle}  {note}".rstrip()
