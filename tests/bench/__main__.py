"""`make bench`: run every measurement and print one table. Takes about six minutes.

python -m tests.bench [--json FILE] [--folder FOLDER] [--only NAME ...]
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench import (
    asking,
    beside,
    crowding,
    delivering,
    everybody,
    holding,
    logins,
    revoking,
    standing,
    starting,
)
from tests.bench.bench import Bench
from tests.bench.figures import Row, table, waits
from tests.bench.load import Generator
from tests.bench.machine import facts, fsync_seconds, load_average
from tests.issuer.running import RunningIssuer

FSYNCS = 100  # before each measurement: the disk has other users too

MEASUREMENTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "logins": logins.measure,
    "asking": asking.measure,
    "hung": asking.measure_hung,
    "revoking": revoking.measure,
    "delivering": delivering.measure,
    "beside": beside.measure,
    "standing": standing.measure,
    "starting": starting.measure,
    "crowding": crowding.measure,
    "everybody": everybody.measure,
    "holding": holding.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: $TMPDIR)")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    options = parser.parse_args(argv)
    rows: list[Row] = []
    fsyncs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="sdb-", dir=options.folder) as name:
        found = facts(Path(name))
        with RunningIssuer() as issuer, Generator() as generator:
            bench = Bench(issuer, generator, Path(name))
            for each in options.only:
                print(f"measuring: {each}", file=sys.stderr)
                fsyncs += fsync_seconds(bench.folder, FSYNCS)
                rows += MEASUREMENTS[each](bench)
    found["load after"] = load_average()
    figures = {**waits(fsyncs), "per s": len(fsyncs) / sum(fsyncs)}
    rows.insert(0, Row("disk: append 4 KiB and fsync", figures, "a commit waits for one"))
    print(table(found, rows))
    if options.json:
        listed = [{"what": row.what, **row.figures, "note": row.note} for row in rows]
        options.json.write_text(json.dumps({"machine": found, "rows": listed}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
