"""The breaker before whoever is asked, and the trial calls that find out when it may close."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.gate.breaker import Breaker
from sessiond.notifier import Notifier

R = TypeVar("R")


class Guard:
    """Lets calls through while the breaker is closed, and tries out when it can be closed again.

    Trial calls are made one at a time, none before its pause is over, and nobody waits for them.
    """

    def __init__(
        self,
        breaker: Breaker,
        *,
        name: str,
        whose: str,
        probe: Callable[[], Awaitable[object]],
        clock: Clock,
        containment: Containment,
    ) -> None:
        """Let everything through until calls fail.

        Args:
            breaker: Sees every call.
            name: Of whoever is asked, for the error of those who do not wait.
            whose: The same in logs and metrics.
            probe: Makes a trial call; a refusal is an answer.
            clock: Waits between trial calls.
            containment: Where exceptions end that no trial call may raise.
        """
        self._breaker = breaker
        self._name = name
        self._whose = whose
        self._probe = probe
        self._clock = clock
        self._containment = containment
        self._tasks: TaskGroup | None = None
        self._trying: anyio.CancelScope | None = None
        self._is_retired = False
        self._is_probing = False
        self._probed = Notifier()

    def begin(self, tasks: TaskGroup) -> None:
        """Make trial calls in these tasks from now on."""
        self._tasks = tasks

    def retire(self) -> None:
        """Make no more of them: nobody asks through it any more."""
        self._is_retired = True
        if self._trying is not None:
            self._trying.cancel()

    async def over(self) -> None:
        """Return when no trial call is under way."""
        await self._probed.wait_for(lambda: not self._is_probing)

    def check(self) -> None:
        """Say at once where nobody is to wait.

        Raises:
            IssuerUnavailable: The breaker is open.
        """
        if self._breaker.is_open:
            self._see_to()
            raise IssuerUnavailable(
                f"the breaker of {self._name} is open, wanted an answer to a trial call: see its "
                "trouble in sessionctl status, and wait, since it closes by itself"
            )

    async def call(self, ask: Callable[[], Awaitable[R]]) -> R:
        """Make a call that the breaker lets through and sees.

        Raises:
            IssuerUnavailable: The breaker is open.
        """
        self.check()
        try:
            with self._breaker.seeing():
                return await ask()
        finally:
            self._see_to()

    def _see_to(self) -> None:
        """Have trial calls made where only they can tell how it is."""
        if self._tasks is None or self._trying is not None or self._is_retired:
            return
        if self._breaker.needs_trial:
            self._trying = anyio.CancelScope()
            self._tasks.start_soon(self._try_out, self._trying)

    async def _try_out(self, trying: anyio.CancelScope) -> None:
        try:
            with trying:
                while self._breaker.needs_trial:
                    await self._clock.sleep(self._breaker.pause)
                    if not self._breaker.is_held:  # else a call under way was told to wait longer
                        await self._try_once()
        finally:
            self._trying = None

    async def _try_once(self) -> None:
        self._is_probing = True
        try:
            with (
                self._containment.around("trial call", self._whose),
                suppress(TokenRejected, IssuerUnavailable),
                self._breaker.seeing(is_trial=True),
            ):
                await self._probe()
        finally:
            self._is_probing = False
            self._probed.notify()
