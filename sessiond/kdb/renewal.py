"""A `renew`: the checks of a login, for the user that the session already has."""

import asyncio  # noqa: TID251 - what the table tells is gone on with in the loop's next turn
from collections.abc import Callable

from sessiond.core.access import Denied
from sessiond.core.changes import Renew
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.grant import GrantId
from sessiond.core.queries import FindSession
from sessiond.core.session import ActiveSession
from sessiond.gate import VerifiedLogin
from sessiond.kdb import replies
from sessiond.kdb.calls import Renewal as RenewalCall
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused
from sessiond.kdb.token_authentication import TokenAuthentication
from sessiond.qipc import NIL, Value

Pushing = Callable[[bytes], None]


class Renewal(TokenAuthentication):
    """One of them. Where it is late the session goes on as before, or as is pushed later.

    A sync one is answered in its turn; one that happens after its answer was `deadline` is told by
    a push. An async one is apart from the order, since its issuer may take long: when it happens
    that is pushed by what is committed, when it is refused from here.
    """

    def __init__(
        self,
        services: LoginServices,
        owner: Owner,
        call: RenewalCall,
        slot: Slot,
        tasks: ConnectionTasks,
        push: Pushing,
        over: Callable[[], None],
    ) -> None:
        """Take the call; `begin` goes on with it. See `TokenAuthentication` for the others.

        Args:
            services: What to work with.
            owner: Whose call it is.
            call: The call.
            slot: Its place among the messages in hand, or apart from them.
            tasks: Where what has to wait runs.
            push: Tells the process.
            over: Called once when it is settled: another of the session may follow.
        """
        super().__init__(services, owner, slot, tasks)
        self._call = call
        self._push = push
        self._over = over
        self._standing: ActiveSession | None = None

    def begin(self) -> None:
        """Look the session up: its user is the one who must be proved."""
        find = FindSession(process=self._owner.key, session=self._call.session)
        self._services.table.submit(find, self._slot.guarded(self._found))

    def _found(self, standing: ActiveSession | StoreError | None) -> None:
        """Go on with the session, not within the writer, which others wait for."""
        if isinstance(standing, StoreError):
            self._settle(Refused(Refusal.UNAVAILABLE, str(standing)))
        elif standing is None:
            words = "no live session of this process has that id, wanted one to renew: log in anew"
            self._settle(Refused(Refusal.REVOKED, words))
        else:
            asyncio.get_running_loop().call_soon(self._slot.guarded(self._verify), standing)

    def _verify(self, standing: ActiveSession) -> None:
        """Have the tokens verified, beside the other messages where that takes long."""
        if not self._slot.is_settled:
            self._standing = standing
            user = standing.session.principal.name
            self._verification.begin(user, self._call.password, renews=self._call.session)

    def _change_by(self, login: VerifiedLogin) -> Renew:
        return Renew(
            process=self._owner.key,
            session=self._call.session,
            grant=GrantId(self._services.new_id()),
            presented=self._verification.presented(login),
            push=self._slot.is_apart,
        )

    def _committed(self, answer: ActiveSession | Denied | StoreError) -> None:
        if not self._slot.is_settled:
            super()._committed(answer)
        elif isinstance(answer, ActiveSession) and not self._slot.is_apart:
            self._push(replies.renewed_late(answer))

    def _settle(self, outcome: ActiveSession | Refused) -> None:
        if not self._slot.is_settled:
            self._over()
            super()._settle(outcome)

    def _answer(self) -> Value | Encoded:
        session = None if self._standing is None else self._standing.session
        user = "" if session is None else session.principal.name
        outcome, then = self._result(call="renew", user=user)
        if isinstance(outcome, ActiveSession):
            return Encoded(replies.accepted(outcome), then)
        if self._slot.is_apart:
            handle = 0 if session is None else session.handle
            self._push(replies.renewal_refused(self._call.session, handle, outcome.reason))
            then()
            return NIL
        return Encoded(replies.refused(outcome.reason), then)
