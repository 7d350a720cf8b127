"""Keeps Python's garbage collector from holding the event loop.

A collection looks at every object of its generations: 0.3 microseconds each, so that a full one
takes 0.6 s with 100,000 sessions in the table. Hardly anything here is garbage to be looked for:
what is closed, refused or answered goes with its last reference. So objects that outlived two
collections of the young are taken for what stays, and set aside (`gc.freeze`): each collection
looks at what came since, at most some thousand objects, however many sessions there are. Python
itself would collect when so many more were made than went. Where sessions come and go that is
never, and the young are all of them in the end: so they are counted from time to time, too.

What is set aside and only a cycle holds by then is not found any more. So all is looked at again
once two or three times as much is set aside as after the last such look. That holds the loop, but
only when the table has doubled, or cycles have taken as much as all the rest: it bounds them.
"""

import gc
from typing import NoReturn

from sessiond.clock import Clock

EVERY = 0.05  # seconds between two looks at how many young there are
YOUNG = 2000  # objects; more are collected
ROUNDS = 1  # of such collections, after which the next looks at what they left, too
NEVER = 1_000_000  # in such rounds, until the old would be collected
GROWTH = 2.0  # of what is set aside, counted when so much may have come


class Collector:
    """Python's one collector, as the daemon needs it."""

    def __init__(self) -> None:
        self._known = 0  # objects set aside, when all was looked at
        self._since = 0  # objects set aside since they were counted, gone ones too

    def rest(self) -> None:
        """Do nothing while the table is built: there will be no garbage in it.

        What imports have left in cycles stays: to look for it would take a tenth of a start.
        """
        gc.disable()

    def calm(self) -> None:
        """Set aside what was built by now, and from now on what lasts, a little at a time."""
        gc.freeze()
        self._known = gc.get_freeze_count()
        gc.set_threshold(YOUNG, ROUNDS, NEVER)
        gc.callbacks.append(self._set_aside)
        gc.enable()

    async def run(self, clock: Clock) -> NoReturn:
        """Collect what is young, or all, where it is time, until cancelled."""
        while True:
            await clock.sleep(EVERY)
            if len(gc.get_objects(generation=0)) > YOUNG:
                gc.collect(1 if gc.get_count()[1] > ROUNDS else 0)
            if self._since > (GROWTH - 1) * self._known:  # else it cannot have grown so much
                self._count()

    def _count(self) -> None:
        """Look at all again, where not as much has gone meanwhile as was set aside."""
        self._since = 0
        if gc.get_freeze_count() > GROWTH * self._known:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._known = gc.get_freeze_count()

    def _set_aside(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 1:
            self._since += len(gc.get_objects())
            gc.freeze()
