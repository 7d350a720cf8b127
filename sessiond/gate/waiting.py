"""A login that waits for an issuer."""

from collections.abc import Callable

import anyio

from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.core.verdict import Verdict
from sessiond.gate.flight import Fault, Flight, answered, fresh
from sessiond.gate.timings import LoginTimings
from sessiond.gate.verified_login import VerifiedLogin

Outcome = VerifiedLogin | Fault


class Waiting:
    """Has joined the call about its token, and is told once what comes of it, unless it leaves."""

    def __init__(
        self,
        flight: Flight[Verdict],
        *,
        judge: Callable[[Verdict], VerifiedLogin],
        timings: LoginTimings,
        give_up_place: Callable[[], object],
    ) -> None:
        """Join.

        Args:
            flight: The call.
            judge: Makes of its verdict what this login comes to, or raises TokenRejected.
            timings: Filled in when it is over, however it ends.
            give_up_place: Called then too: one fewer waits.
        """
        self._flight = flight
        self._judge = judge
        self._timings = timings
        self._give_up_place = give_up_place
        self._outcome: Outcome | None = None
        self._heard: Callable[[Outcome], object] | None = None
        self._is_over = False
        flight.join(self._land)

    def then(self, heard: Callable[[Outcome], object]) -> None:
        """Have what comes of it told, once: at landing, at once where that was, never if it left.

        A fault is a fresh copy, for whoever is told alone.
        """
        if self._outcome is not None:
            heard(self._outcome)
        else:
            self._heard = heard

    def leave(self) -> None:
        """Wait no longer; the call goes on for all others. Nothing happens where it is over."""
        if not self._is_over:
            self._flight.leave(self._land)
            self._end()

    async def answer(self) -> VerifiedLogin:
        """Wait; cancelling leaves.

        Raises:
            TokenRejected, IssuerUnavailable: What came of it instead.
        """
        landed, said = anyio.Event(), list[Outcome]()

        def heard(outcome: Outcome) -> None:
            said.append(outcome)
            landed.set()

        self.then(heard)
        try:
            await landed.wait()
        finally:
            self.leave()
        return answered(said[0])

    def _land(self, outcome: Verdict | Fault) -> None:
        self._end()
        self._outcome = self._judged(outcome)
        if self._heard is not None:
            self._heard(self._outcome)

    def _judged(self, outcome: Verdict | Fault) -> Outcome:
        if isinstance(outcome, TokenRejected | IssuerUnavailable):
            return fresh(outcome)
        try:
            return self._judge(outcome)
        except TokenRejected as rejected:
            return fresh(rejected)

    def _end(self) -> None:
        self._is_over = True
        self._flight.note(self._timings)
        self._give_up_place()
