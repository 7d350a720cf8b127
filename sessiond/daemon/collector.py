"""Keeps Python's garbage collector from holding the event loop.

A collection looks at every object of its generations: 0.3 microseconds each, so that a full one
takes 0.6 s with 100,000 sessions in the table. Hardly anything here is garbage to be looked for:
what is closed, refused or answered goes with its last reference. So objects that outlived two
collections of the young are taken for what stays, and set aside for good (`gc.freeze`): each
collection looks at what came since, at most some thousand objects, however many sessions there are.
Python itself would collect when so many more were made than went. Where sessions come and go that
is never, and the young are all of them in the end: so they are counted from time to time, too.

What is set aside and becomes part of a cycle later is never given back. Only what was under way at
that moment could: some objects in each of YOUNG that stay. What memory
logins and logouts leave behind is in docs/performance.md.
"""

import gc
from typing import NoReturn

from sessiond.clock import Clock

EVERY = 0.25  # seconds between two looks at how many young there are
YOUNG = 2000  # objects; more are collected
ROUNDS = 1  # of such collections, after which the next looks at what they left, too
NEVER = 1_000_000  # in such rounds, until the old would be collected


def rest() -> None:
    """Have the collector rest while the table is built: there will be no garbage in it."""
    gc.collect()
    gc.disable()


def calm() -> None:
    """Set aside what was built by now, and from now on what lasts, a little at a time."""
    gc.freeze()
    gc.set_threshold(YOUNG, ROUNDS, NEVER)
    if _set_aside not in gc.callbacks:
        gc.callbacks.append(_set_aside)
    gc.enable()


async def run(clock: Clock) -> NoReturn:
    """Collect the young from time to time, until cancelled."""
    while True:
        await clock.sleep(EVERY)
        collect_young()


def collect_young() -> None:
    """Collect where there are more young ones than YOUNG."""
    if len(gc.get_objects(generation=0)) > YOUNG:
        rounds = gc.get_count()[1]
        gc.collect(1 if rounds > ROUNDS else 0)


def _set_aside(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] > 0:
        gc.freeze()
