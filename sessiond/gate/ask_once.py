"""Asking somebody once for all who have the same question, and not at all while he is away."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.gate.breaker import Breaker
from sessiond.gate.flight import IS_STOPPING, Fault, Flight, answered, fresh
from sessiond.gate.guard import Guard
from sessiond.gate.kept_answers import KeptAnswers

MAX_ANSWERS = 100_000  # kept
MAX_REFUSALS = 1_000  # kept: those of two seconds, for kdb+'s second try

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")
R = TypeVar("R")


class AskOnce(Generic[K, A]):
    """One stranger's answers: an issuer's, a role source's, whoever else's a room may ask for.

    All who have one question at a time share one call, which outlives them. What came of it is
    kept for as long as `keep_until` says, refusals apart, so that a flood of them drops no answer.
    While the breaker is open nobody waits, and trial calls find out when to close it.
    """

    def __init__(
        self,
        name: str,
        *,
        task: str,
        whose: str,
        breaker: Breaker,
        probe: Callable[[], Awaitable[object]],
        keep_until: Callable[[A | TokenRejected], float],
        clock: Clock,
        containment: Containment,
    ) -> None:
        """Ask nothing yet, until `begin`.

        Args:
            name: Of whoever is asked, for errors.
            task: What unexpected exceptions are told and counted under,
            whose: and for whom.
            breaker: Sees the calls that are made through `call`.
            probe: Makes a trial call.
            keep_until: Says of an outcome until which moment of monotonic time it is used again.
            clock: For moments and pauses.
            containment: Where exceptions end that nobody may raise.
        """
        self._name = name
        self._keep_until = keep_until
        self._clock = clock
        self._contained = containment.around(task, whose)
        self._guard = Guard(
            breaker, name=name, whose=whose, probe=probe, clock=clock, containment=containment
        )
        self._flights: dict[K, Flight[A]] = {}
        self._answers = KeptAnswers[K, A](MAX_ANSWERS)
        self._refusals = KeptAnswers[K, TokenRejected](MAX_REFUSALS)
        self._clearings = 0
        self._tasks: TaskGroup | None = None

    def begin(self, tasks: TaskGroup) -> None:
        """Make calls in these tasks from now on."""
        self._tasks = tasks
        self._guard.begin(tasks)

    def retire(self) -> None:
        """Make no more trial calls: nobody new will ask. What is under way goes on."""
        self._guard.retire()

    async def over(self) -> None:
        """Return when no call is under way, a trial call neither."""
        for flight in tuple(self._flights.values()):
            await flight.over()
        await self._guard.over()

    def find(self, key: K) -> A | None:
        """Return the answer that is kept, or None.

        Raises:
            TokenRejected: A refusal is.
        """
        monotonic = self._clock.monotonic()
        answer = self._answers.find(key, monotonic=monotonic)
        if answer is None:
            refusal = self._refusals.find(key, monotonic=monotonic)
            if refusal is not None:
                raise fresh(refusal)
        return answer

    def has_kept(self, key: K) -> bool:
        """Say whether there is an answer or a refusal, be it good still or not."""
        return key in self._answers or key in self._refusals

    def drop(self, key: K) -> None:
        """Forget one answer, which does not stand any more."""
        self._answers.drop(key)

    def clear(self) -> None:
        """Forget all that is kept, and keep nothing of what is being asked by now."""
        self._clearings += 1
        self._answers.clear()
        self._refusals.clear()

    def join(
        self,
        key: K,
        ask: Callable[[Flight[A]], Awaitable[A]],
        *,
        needs_call: bool = True,
        is_timed: bool = True,
    ) -> Flight[A]:
        """Return the call with this question that is under way, or begin one; to be waited for.

        Args:
            key: The question.
            ask: Asks it; what it asks the stranger goes through `call`.
            needs_call: Whether there is nothing to wait for while the breaker is open.
            is_timed: Whether its moments say how long the stranger is waited for.

        Raises:
            IssuerUnavailable: Nobody is to wait.
        """
        flight = self._flights.get(key)
        if flight is not None:
            return flight
        if self._tasks is None:
            raise IssuerUnavailable("sessiond is starting, wanted it open: try again in a moment")
        if needs_call:
            self._guard.check()
        flight = Flight[A](self._clock, is_timed=is_timed, contained=self._contained)
        try:
            self._tasks.start_soon(self._fly, key, ask, flight)
        except RuntimeError:  # anyio's, of tasks that have ended: nobody would ever answer
            raise IssuerUnavailable(IS_STOPPING) from None
        self._flights[key] = flight
        return flight

    async def call(self, ask: Callable[[], Awaitable[R]]) -> R:
        """Ask the stranger himself, within what was joined; see `Guard.call`."""
        return await self._guard.call(ask)

    def at_once(self, key: K, answer: Callable[[], A | None]) -> A | None:
        """Return the answer where nobody is waited for, and keep it; None: somebody has to be.

        Raises:
            TokenRejected, IssuerUnavailable: What came of it instead.
        """
        outcome: A | Fault | None = None
        is_over = False
        with self._contained:
            try:
                outcome = answer()
            except (TokenRejected, IssuerUnavailable) as fault:
                outcome = fresh(fault)
            if outcome is not None:
                self._keep(key, outcome)
            is_over = True
        if not is_over:
            raise self._unexpected()
        return None if outcome is None else answered(outcome)

    async def _fly(
        self, key: K, ask: Callable[[Flight[A]], Awaitable[A]], flight: Flight[A]
    ) -> None:
        outcome: A | Fault | None = None
        try:
            outcome = await self._outcome(key, lambda: ask(flight))
        finally:
            del self._flights[key]
            flight.land(outcome)

    async def _outcome(self, key: K, ask: Callable[[], Awaitable[A]]) -> A | Fault:
        """Return what comes of a question, whatever is raised on the way, and keep it."""
        outcome: A | Fault | None = None
        clearings = self._clearings
        with self._contained:
            try:
                outcome = await ask()
            except (TokenRejected, IssuerUnavailable) as fault:
                outcome = fresh(fault)
            if clearings == self._clearings:
                self._keep(key, outcome)
        return self._unexpected() if outcome is None else outcome

    def _unexpected(self) -> IssuerUnavailable:
        return IssuerUnavailable(
            f"asking {self._name} met a fault that nobody expected, wanted an answer: see the "
            "log (unexpected failure), and report it"
        )

    def _keep(self, key: K, outcome: A | Fault) -> None:
        if isinstance(outcome, IssuerUnavailable):
            return
        until = self._keep_until(outcome)
        if until <= self._clock.monotonic():
            return
        if isinstance(outcome, TokenRejected):
            self._refusals.keep(key, outcome, until=until)
        else:
            self._answers.keep(key, outcome, until=until)
