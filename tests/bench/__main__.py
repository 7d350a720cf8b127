"""`make bench`: run every measurement, print one table, and put the figures into the document.

python -m tests.bench [--quick] [--only NAME ...] [--json FILE] [--document FILE] [--folder FOLDER]
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench import (
    asking,
    beside,
    connecting,
    crowding,
    delivering,
    everybody,
    following,
    growing,
    holding,
    introspecting,
    lending,
    pushing,
    revoking,
    sampling,
    standing,
    stores,
    storming,
    web,
)
from tests.bench.aims import aims
from tests.bench.bench import Bench
from tests.bench.document import write
from tests.bench.fast_issuer import FastIssuer
from tests.bench.figures import RATIOS, WAIT, Row, against, medians, of_load, table, waits
from tests.bench.floor import Floor
from tests.bench.load import Generator
from tests.bench.machine import facts, fsync_seconds, load_average
from tests.issuer.running import RunningIssuer

FSYNCS = 100  # before each measurement: the disk has other users too

Measurement = Callable[[Bench], Iterator[Row]]
MEASUREMENTS: dict[str, Measurement] = {
    "connecting": connecting.measure,
    "introspecting": introspecting.measure,
    "asking": asking.measure,
    "hung": asking.measure_hung,
    "storming": storming.measure,
    "pushing": pushing.measure,
    "revoking": revoking.measure,
    "following": following.measure,
    "delivering": delivering.measure,
    "web": web.measure,
    "lending": lending.measure,
    "stores": stores.measure,
    "beside": beside.measure,
    "standing": standing.measure,
    "growing": growing.measure,
    "crowding": crowding.measure,
    "everybody": everybody.measure,
    "holding": holding.measure,
}
ASKED_FOR: dict[str, Measurement] = {"sampling": sampling.measure}  # by --profile


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print it."""
    options = _options(argv)
    if options.shown:
        kept = [json.loads(file.read_text()) for file in options.shown]
        machine = kept[0]["machine"]
        rows = [_row(each) for found in kept for each in found["rows"]]
    else:
        machine, rows = _measured(options)
    print(table(machine, rows))
    for aim in aims(rows):
        print(f"{aim.what}: {aim.wanted}; measured: {aim.measured}, {aim.verdict}")
    if options.document:
        write(options.document, machine, rows)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--document", type=Path, metavar="FILE", help="put them and the plot into it"
    )
    parser.add_argument(
        "--shown", type=Path, nargs="+", metavar="FILE", help="measure nothing: show these"
    )
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: $TMPDIR)")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, to try: no figures")
    parser.add_argument(
        "--profile", action="store_true", help="sample where the CPU time goes, too"
    )
    known = [*MEASUREMENTS, *ASKED_FOR]
    parser.add_argument("--only", nargs="+", choices=known, default=list(MEASUREMENTS))
    options = parser.parse_args(argv)
    if options.profile and "sampling" not in options.only:
        options.only.append("sampling")
    return options


def _measured(options: argparse.Namespace) -> tuple[dict[str, str], list[Row]]:
    rows: list[Row] = []
    fsyncs: list[float] = []
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="sdb-", dir=options.folder))
        )
        machine = facts(folder)
        fast = stack.enter_context(FastIssuer(folder))
        bench = Bench(
            stack.enter_context(RunningIssuer()),
            fast,
            stack.enter_context(Floor(folder, fast.pem)),
            stack.enter_context(Generator()),
            folder,
            is_quick=options.quick,
        )
        for each in options.only:
            print(f"measuring: {each}", file=sys.stderr)
            fsyncs += fsync_seconds(bench.folder, FSYNCS)
            rows += _beside_the_floor(bench, (MEASUREMENTS | ASKED_FOR)[each])
            machine["load after"] = load_average()
            if options.json:  # as far as it is, each time: the next may fail
                _keep(options.json, machine, [_disk(fsyncs), *rows])
    return machine, [_disk(fsyncs), *rows]


def _disk(fsyncs: Sequence[float]) -> Row:
    figures = {**waits(fsyncs), "per s": len(fsyncs) / sum(fsyncs)}
    return Row("disk: append 4 KiB and fsync", figures, "a commit waits for one")


def _keep(file: Path, machine: dict[str, str], rows: Sequence[Row]) -> None:
    """Write the figures as JSON."""
    listed = [{"key": row.key, "what": row.what, **row.figures, "note": row.note} for row in rows]
    file.write_text(json.dumps({"machine": machine, "rows": listed}, indent=1) + "\n")


def _beside_the_floor(bench: Bench, measurement: Measurement) -> list[Row]:
    """Return its rows; those that took no turns with the floor against rounds before and after."""
    rounds = [of_load(bench.floor_round())]
    rows = list(measurement(bench))
    rounds.append(of_load(bench.floor_round()))
    floor = medians(rounds)
    return [_against(floor, row) for row in rows]


def _against(floor: dict[str, float], row: Row) -> Row:
    is_wait = {WAIT, "p99 ms"} <= row.figures.keys() and RATIOS[WAIT] not in row.figures
    if not (is_wait and row.is_of_one):
        return row
    return replace(row, figures={**against(floor, row.figures), **row.figures})


def _row(found: dict[str, Any]) -> Row:
    figures = {name: value for name, value in found.items() if isinstance(value, float | int)}
    return Row(found["what"], figures, found["note"], found["key"])


if __name__ == "__main__":
    sys.exit(main())
