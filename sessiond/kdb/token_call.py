"""A `token`: a process asks for the token of a data source, maybe for the user of a session."""

from functools import partial
from typing import Protocol

from sessiond.core.errors import StoreError
from sessiond.core.queries import FindSession
from sessiond.core.session import ActiveSession
from sessiond.gate import LoginTimings
from sessiond.kdb import replies
from sessiond.kdb.calls import TokenCall
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.sources.answer import Answer, NotGiven, Reason
from sessiond.sources.asking import Asking
from sessiond.sources.kept_token import KeptToken


class SourceAnswers(Protocol):
    """Answers who asks for tokens. A `sessiond.sources.sources.Sources` does."""

    def find(self, asking: Asking) -> Answer | None:
        """Return the answer that needs nobody; None: ask `answer`."""
        ...

    async def answer(self, asking: Asking) -> Answer:
        """Return the answer. May be cancelled any time."""
        ...

    def late(self, asking: Asking) -> NotGiven:
        """Return what is told whose time is over."""
        ...


class TokenRequest:
    """One of them. Others of the connection are answered in its turn, however long it waits."""

    def __init__(
        self,
        sources: SourceAnswers,
        services: LoginServices,
        owner: Owner,
        call: TokenCall,
        slot: Slot,
        tasks: ConnectionTasks,
    ) -> None:
        """Take the call; `begin` goes on with it.

        Args:
            sources: Know what it comes to.
            services: The table that knows the session, and a clock.
            owner: Whose call it is.
            call: The call.
            slot: Its place among the messages in hand.
            tasks: Where what has to wait runs.
        """
        self._sources = sources
        self._services = services
        self._owner = owner
        self._call = call
        self._slot = slot
        self._tasks = tasks
        slot.late = self._late

    def begin(self) -> None:
        """Have it answered, once what was said before it has entered the table."""
        self._slot.enter(self._look_up if self._call.session is not None else self._ask)

    def _look_up(self) -> None:
        if self._call.session is None:
            return
        find = FindSession(process=self._owner.key, session=self._call.session)
        self._services.table.submit(find, self._slot.guarded(self._found))

    def _found(self, session: ActiveSession | StoreError | None) -> None:
        if isinstance(session, StoreError):
            self._settle(NotGiven(reason=Reason.UNAVAILABLE, detail=str(session)))
        elif session is None:
            self._settle(NO_SESSION)
        else:
            self._ask(session)

    def _ask(self, session: ActiveSession | None = None) -> None:
        if self._slot.is_settled:
            return
        asking = self._asking(session)
        answer = self._sources.find(asking)
        if answer is None:
            self._slot.stopped = self._tasks.begin(partial(self._wait, asking))
        else:
            self._settle(answer)

    async def _wait(self, asking: Asking) -> None:
        self._settle(await self._sources.answer(asking))

    def _asking(self, session: ActiveSession | None) -> Asking:
        owner = self._owner
        return Asking(source=self._call.name, who=owner.key, process=owner.about, session=session)

    def _late(self) -> None:
        stop = self._slot.stopped
        self._settle(self._sources.late(self._asking(None)))
        stop()

    def _settle(self, answer: Answer) -> None:
        self._slot.settle(partial(self._answered, answer))

    def _answered(self, answer: Answer) -> Encoded:
        if isinstance(answer, KeptToken):
            return Encoded(replies.token(answer), partial(self._measure, "accepted"))
        return Encoded(replies.no_token(answer.reason), partial(self._measure, "refused"))

    def _measure(self, outcome: str) -> None:
        took = self._services.clock.monotonic() - self._slot.began
        self._services.metrics.answered("token", outcome, took, LoginTimings())


NO_SESSION = NotGiven(
    reason=Reason.NOTALLOWED,
    detail="no live session of this process has that id, wanted one of its own",
)
