"""How long the dearest inputs hold the event loop: CPU time of one callback, no daemon needed."""

from collections.abc import Iterator
from itertools import groupby

from tests.bench.bench import Bench
from tests.bench.figures import Row
from tests.fuzz.holding import hold_of
from tests.fuzz.worst import WORST


def measure(_: Bench) -> Iterator[Row]:
    """Measure the inputs of tests/fuzz/worst.py, and tell the dearest of each entry."""
    held = {name: hold_of(work) for name, work in WORST.items()}
    for entry, names in groupby(sorted(held), key=lambda name: name.partition(":")[0]):
        name = max(names, key=held.__getitem__)
        yield Row(f"longest hold of the loop, {entry}", {"max ms": held[name] * 1000}, name)
