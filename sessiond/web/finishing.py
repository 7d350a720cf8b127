"""Sign-ins that are carried out beside the calls that asked, until somebody collects the result.

A browser that waits too long is answered before its sign-in is over, and asks again. So work and
results outlive calls; how many there are at a time is bounded, and none is kept for long.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey, SessionId
from sessiond.core.web_login import SIGN_IN_LASTS
from sessiond.racing import first
from sessiond.web.pages import Page

MAX_PENDING = 1000  # at work or not collected
MAX_OF_PROCESS = 250  # of these: who floods one process leaves room at the others
MAX_OF_ADDRESS = 50  # of these, of browsers of one address: and there to those of other addresses
MAX_USED = 10_000  # states that are remembered; the oldest are forgotten, and then the issuer knows
KEPT_FOR = 60.0  # seconds that a result waits to be collected
WORKS_FOR = 60.0  # seconds until it is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that was made, for the browser that began it."""

    session: SessionId
    process: ProcessKey
    cookie: Secret


Result = SignedIn | Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is done for a sign-in."""

    work: Callable[[], Awaitable[Result]]
    otherwise: Page  # the result where that fails, or takes too long
    issuer: str  # who is asked
    address: int = 0  # of the browser, or of the proxy before it


@dataclass(slots=True, eq=False)
class Pending:
    """One sign-in: at work, then with its result."""

    state: TokenHash
    process: ProcessKey
    job: Job
    result: Result | None = None
    was_waited_for: bool = False  # by q, for as long as it waits for one at all
    done: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)  # collected, or it gave way to another


class Finishing:
    """Owns them. Each state is worked for once."""

    def __init__(
        self,
        clock: Clock,
        containment: Containment,
        *,
        end: Callable[[SignedIn], Awaitable[None]],
    ) -> None:
        """Begin with none.

        Args:
            clock: Says when a result was waited for long enough.
            containment: Where exceptions end that no sign-in may raise.
            end: Ends a session that nobody has collected.
        """
        self._clock = clock
        self._containment = containment
        self._end = end
        self._tasks: TaskGroup | None = None
        self._stopping = anyio.Event()
        self._pending: dict[TokenHash, Pending] = {}
        self._used: dict[TokenHash, float] = {}  # until when, monotonic; the oldest first

    def __len__(self) -> int:
        """Return how many are at work or not collected."""
        return len(self._pending)

    async def run(self) -> None:
        """Own the work, until stopped. Sessions that nobody has collected by then end."""
        async with anyio.create_task_group() as self._tasks:
            await self._stopping.wait()
            self._tasks.cancel_scope.cancel()
        for pending in [*self._pending.values()]:
            await self._clear(pending)

    def stop(self) -> None:
        """Begin to end: nobody is there any more to collect a result."""
        self._stopping.set()

    def find(self, state: TokenHash) -> Pending | None:
        """Return the sign-in of a state, unless it was collected."""
        return self._pending.get(state)

    def at_work(self, process: ProcessKey) -> int:
        """Return how many of a process have no result yet."""
        return sum(
            each.process == process and not each.done.is_set() for each in self._pending.values()
        )

    def is_used(self, state: TokenHash) -> bool:
        """Say whether a state was worked for, or given up, before."""
        return self._used.get(state, 0.0) > self._clock.monotonic()

    def use(self, state: TokenHash) -> None:
        """Remember a state, so that nothing else comes of it."""
        now = self._clock.monotonic()
        while self._used and (
            len(self._used) >= MAX_USED or next(iter(self._used.values())) <= now
        ):
            del self._used[next(iter(self._used))]
        self._used[state] = now + SIGN_IN_LASTS.total_seconds()

    def begin(self, state: TokenHash, process: ProcessKey, job: Job) -> Pending | None:
        """Begin to work for a state that is not used; None: there is no room, ask again."""
        if self._tasks is None or not self._has_room(process, job.address):
            return None
        self.use(state)
        pending = self._pending[state] = Pending(state, process, job)
        self._tasks.start_soon(self._carry_out, pending)
        return pending

    def collect(self, pending: Pending) -> Result | None:
        """Take a result, once; None: somebody else has it."""
        result, pending.result = pending.result, None
        self._drop(pending)
        return result

    async def _carry_out(self, pending: Pending) -> None:
        await first(partial(self._work, pending), lambda: self._clock.sleep(WORKS_FOR))
        pending.result = pending.result or pending.job.otherwise
        pending.done.set()
        await first(pending.gone.wait, lambda: self._clock.sleep(KEPT_FOR))
        await self._clear(pending)

    async def _clear(self, pending: Pending) -> None:
        left = self.collect(pending)
        if isinstance(left, SignedIn):
            with self._containment.around("sign-in", pending.job.issuer):
                await self._end(left)

    async def _work(self, pending: Pending) -> None:
        """Keep what comes of it at once: whoever stops it then still knows what is to be ended."""
        with self._containment.around("sign-in", pending.job.issuer):
            pending.result = await pending.job.work()

    def _has_room(self, process: ProcessKey, address: int) -> bool:
        """Say whether another may begin; one that came to nothing gives way to it."""
        every = [*self._pending.values()]
        of_process = [each for each in every if each.process == process]
        of_address = [each for each in of_process if each.job.address == address]
        bounds = (of_address, MAX_OF_ADDRESS), (of_process, MAX_OF_PROCESS), (every, MAX_PENDING)
        full = next((among for among, most in bounds if len(among) >= most), None)
        return full is None or self._give_way(full)

    def _give_way(self, among: Sequence[Pending]) -> bool:
        oldest = next((each for each in among if isinstance(each.result, Page)), None)
        if oldest is not None:
            self._drop(oldest)
        return oldest is not None

    def _drop(self, pending: Pending) -> None:
        if self._pending.get(pending.state) is pending:
            del self._pending[pending.state]
        pending.gone.set()
