"""A `web`: what came over HTTP, and what q is to do with it.

A bearer's is a login, whose name is the token's. Of all else the room `web` says what it comes to:
whether somebody is let in by it, sent to his issuer, or shown a page.
"""

from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from sessiond.core.access import Denied
from sessiond.core.changes import Change, OpenWeb, Withdraw
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.grant import GrantId
from sessiond.core.queries import FindSession
from sessiond.core.session import ActiveSession, ProcessAbout, SessionId
from sessiond.gate import LoginTimings, VerifiedLogin
from sessiond.kdb import replies
from sessiond.kdb.calls import Web as WebCall
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused, Told, tell_web
from sessiond.kdb.token_authentication import TokenAuthentication
from sessiond.web.answer import Answer, retry_after, sent
from sessiond.web.request import Request

KIB = 1024  # characters
LATE: Final = sent(
    "deny",
    503,
    retry_after(),
    body="sessiond did not answer in time. Try again.\n",
    reason=Refusal.DEADLINE.value,
)
MAX_TARGET, MAX_COOKIE, MAX_OTHER = 16 * KIB, 16 * KIB, 4 * KIB


class WebAnswers(Protocol):
    """Says what requests come to."""

    def answer_now(self, request: Request) -> Answer | None:
        """Return the answer that needs nobody; None: ask `answer`."""
        ...

    async def answer(self, request: Request, *, deadline: float) -> Answer:
        """Return the answer by a moment of monotonic time. May be cancelled any time."""
        ...

    def bearer_allowed(self, active: ActiveSession) -> Answer: ...

    def bearer_denied(self, reason: Refusal, about: ProcessAbout) -> Answer: ...


class BearerLogin(TokenAuthentication):
    """A request with an access token (RFC 6750). The same one at one process is one session."""

    def __init__(
        self,
        web: WebAnswers,
        services: LoginServices,
        owner: Owner,
        call: WebCall,
        slot: Slot,
        tasks: ConnectionTasks,
    ) -> None:
        """Take the call; `begin` goes on with it. See `TokenAuthentication` for the others."""
        super().__init__(services, owner, slot, tasks)
        self._web = web
        self._call = call
        self._session = SessionId(services.new_id())

    def begin(self) -> None:
        """Have it verified: at once where that needs nobody, else beside the other messages."""
        self._verification.begin_bearer(self._call.bearer)

    def _change_by(self, login: VerifiedLogin) -> Change[ActiveSession | Denied]:
        return OpenWeb(
            session=self._session,
            grant=GrantId(self._services.new_id()),
            process=self._owner.key,
            about=self._owner.about,
            address=self._call.address,
            presented=self._verification.presented(login),
            cookie=None,
            base="",
            state=None,
        )

    def _late(self) -> None:
        if self._submitted_at is not None:
            self._services.table.submit(Withdraw(session=self._session))
        super()._late()

    def _answer(self) -> Encoded:
        user = "" if self._login is None else self._login.verdict.principal.name
        outcome, told = self._came_of_it(), self._told(call="web", user=user)
        if isinstance(outcome, Refused):
            refused, answer = outcome, self._web.bearer_denied(outcome.reason, self._owner.about)
        else:
            refused, answer = None, self._web.bearer_allowed(outcome)
        then = partial(tell_web, self._services, self._owner, told, answer, refused)
        return Encoded(replies.web(answer), then)


class WebRequest:
    """A request without a bearer: a browser's, or one that q asks for a password."""

    def __init__(
        self,
        web: WebAnswers,
        services: LoginServices,
        owner: Owner,
        call: WebCall,
        slot: Slot,
        tasks: ConnectionTasks,
    ) -> None:
        """Take the call; `begin` goes on with it. See `TokenAuthentication` for the others."""
        self._web = web
        self._services = services
        self._owner = owner
        self._call = call
        self._slot = slot
        self._tasks = tasks
        slot.late = self._late

    def begin(self) -> None:
        """Have it answered, once what was said before it has entered the table."""
        self._slot.enter(self._ask)

    def _ask(self) -> None:
        call, owner = self._call, self._owner
        request = Request(
            target=call.target,
            cookie=call.cookie.reveal(),
            accept=call.accept,
            origin=call.origin,
            host=call.host,
            site=call.site,
            address=call.address,
            process=owner.key,
            about=owner.about,
        )
        answer = self._web.answer_now(request)
        if answer is None:
            self._slot.stopped = self._tasks.begin(partial(self._wait, request))
        else:
            self._settle(answer)

    async def _wait(self, request: Request) -> None:
        answer = await self._web.answer(request, deadline=self._slot.answer_by)
        if answer.active is None:
            self._settle(answer)
            return
        find = FindSession(process=self._owner.key, session=answer.active.session.id)
        found = self._slot.guarded(partial(self._found, answer))
        self._services.table.submit(find, found)

    def _found(self, answer: Answer, now: ActiveSession | StoreError | None) -> None:
        """Let somebody in by what is so as the answer leaves, and not as it was when it was made.

        The process was told meanwhile of what had changed, and would go back to what was before.
        """
        if isinstance(now, StoreError):
            self._settle(LATE)
        elif now is not None:
            self._settle(replace(answer, active=now))
        elif not self._slot.is_settled:  # it has ended
            self._ask()

    def _late(self) -> None:
        stop = self._slot.stopped
        self._settle(LATE)
        stop()

    def _settle(self, answer: Answer) -> None:
        self._slot.settle(partial(answered, self._services, self._owner, self._slot, answer))


def begin_web(
    web: WebAnswers,
    services: LoginServices,
    owner: Owner,
    call: WebCall,
    slot: Slot,
    tasks: ConnectionTasks,
) -> None:
    """Begin a call; its slot is settled when it is done. Beside a bearer nothing else counts.

    What is too long for an honest request is read by nobody.
    """
    status = _too_long(call)
    if status:
        denied = sent("deny", status, reason=Refusal.TOOLARGE.value)
        slot.settle(partial(answered, services, owner, slot, denied))
        return
    kind = BearerLogin if call.bearer.reveal() else WebRequest
    kind(web, services, owner, call, slot, tasks).begin()


def answered(services: LoginServices, owner: Owner, slot: Slot, answer: Answer) -> Encoded:
    """Return an answer for which no token was judged, as it leaves, and what tells of it then."""
    told = Told(
        call="web",
        user="",
        took=services.clock.monotonic() - slot.began,
        commit=None,
        timings=LoginTimings(),
    )
    return Encoded(replies.web(answer), partial(tell_web, services, owner, told, answer))


def _too_long(call: WebCall) -> int:
    """Return the status for what is too long (RFC 9110, 15.5.15; RFC 6585, 5); 0: nothing is.

    A bearer's length is the gate's to judge, as a password's.
    """
    if len(call.target) > MAX_TARGET:
        return 414
    fields = (call.accept, call.origin, call.host, call.site)
    is_long = len(call.cookie.reveal()) > MAX_COOKIE or any(
        len(each) > MAX_OTHER for each in fields
    )
    return 431 if is_long else 0
