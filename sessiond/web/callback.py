"""Where an issuer sends the browser back to: the end of a sign-in, or of a sign-out."""

from collections.abc import Mapping
from functools import partial

from sessiond.core.errors import IssuerUnavailable, Refusal
from sessiond.core.grant import TokenHash
from sessiond.core.printable import seen
from sessiond.core.secret import Secret
from sessiond.racing import first
from sessiond.web import cookies, words
from sessiond.web.answer import Answer, Header, redirect
from sessiond.web.at_once import PATIENCE, at_once
from sessiond.web.base import Base
from sessiond.web.finishing import Finishing, Job, Pending, SignedIn
from sessiond.web.needs import WebServices
from sessiond.web.pages import Page
from sessiond.web.redeeming import Redeeming, Returned
from sessiond.web.request import Request
from sessiond.web.target import Target, parameters
from sessiond.web.transaction import Transaction, slot_of

MAX_CODE = 8192  # characters
MAX_WAITED_FOR = 4  # sign-ins at work at one process, where q waits for another


class Callback:
    """Answers what comes back. Its results are for the browser that began, and for it once."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._redeeming = Redeeming(services)
        self.finishing = Finishing(services.clock, services.containment, end=self._redeeming.end)

    async def answer(self, request: Request, base: Base, *, deadline: float) -> Answer | None:
        """Return the answer; None: it is to no sign-in of this browser, or one that is over.

        Args:
            request: Is for our callback.
            base: At which.
            deadline: Monotonic moment by which it is answered.

        Raises:
            RepeatedParameter: The query says a thing twice.
        """
        query = Target.of(request.target).query
        if not query:
            return words.signed_out(base).answer()
        asked = parameters(query)
        transaction = self._begun(request, base, asked.get("state", ""))
        if transaction is None:
            return None
        state = self._services.hash_of("state", transaction.state)
        pending = self.finishing.find(state)
        if pending is None:
            begun = await self._begin(request, base, transaction, state, asked)
            if isinstance(begun, Answer):
                return begun
            pending = begun
        if pending is None or pending.process != request.process:
            return None
        return await self._collected(pending, base, transaction, deadline)

    def _begun(self, request: Request, base: Base, state: str) -> Transaction | None:
        """Return the sign-in that this browser has begun with this state."""
        slot = slot_of(state)
        if slot is None:
            return None
        services = self._services
        transaction = Transaction.sent(
            request.cookie, base, slot, services.sealing(), now=services.clock.now()
        )
        if transaction is None or not transaction.has_state(state):
            return None
        return transaction

    async def _begin(
        self,
        request: Request,
        base: Base,
        transaction: Transaction,
        state: TokenHash,
        asked: Mapping[str, str],
    ) -> Pending | Answer | None:
        """Have a code redeemed; else return why it is not. The state is used either way.

        None: that has happened, and somebody has the result.
        """
        to, over = transaction.again, _over(base, transaction)
        client = self._services.settings().clients.get(transaction.issuer)
        if client is None:
            self.finishing.use(state)
            return words.not_begun(base).answer(over)
        code = Secret(asked.get("code", ""))
        returned = Returned(
            request=request,
            base=base,
            transaction=transaction,
            client=client,
            code=code,
            at=self._services.clock.monotonic(),
        )
        try:
            stated = asked.get("iss")
            fault = await at_once(self._services.clock, partial(client.iss_fault, stated))
        except IssuerUnavailable:
            return words.unavailable(base, to=to).answer()
        found = self.finishing.find(state)
        if found is not None or self.finishing.is_used(state):
            return found  # the browser asked twice
        page = self._unusable(returned, fault, asked)
        if page is not None:
            self.finishing.use(state)
            return page.answer(over)
        job = Job(
            work=partial(self._redeeming.sign_in, returned),
            otherwise=words.unavailable(base, to=to),
            issuer=client.issuer,
            address=request.address,
        )
        begun = self.finishing.begin(state, request.process, job)
        return begun or words.busy().answer()

    def _unusable(self, returned: Returned, fault: str, asked: Mapping[str, str]) -> Page | None:
        """Return why there is nothing to redeem, and tell operators; None: there is."""
        base, to = returned.base, returned.transaction.again
        if fault:
            self._redeeming.tell_refused(returned, Refusal.WRONGISSUER, fault)
            return words.misled(base)
        code, error = returned.code.reveal(), asked.get("error", "")
        if not error and 0 < len(code) <= MAX_CODE and code.isascii() and code.isprintable():
            return None
        page = words.refused_by_issuer(base, error or "invalid_grant", to=to)
        said = f"{seen(error)} ({seen(asked.get('error_description', ''))})"
        self._redeeming.tell_refused(
            returned,
            Refusal.INACTIVE,
            f"the issuer answered the error {said}, wanted a code: see what that means there",
        )
        return page

    async def _collected(
        self, pending: Pending, base: Base, transaction: Transaction, deadline: float
    ) -> Answer | None:
        """Return what came of it, or the page that asks again.

        q waits with the first who asks. Whoever asks again does so without holding it, and so do
        all where there are many: a slow issuer, or codes that somebody makes up, cost it no more.
        """
        if not pending.was_waited_for and self.finishing.at_work(pending.process) <= MAX_WAITED_FOR:
            clock = self._services.clock
            patience = min(PATIENCE, deadline - clock.monotonic())
            pending.was_waited_for = True
            await first(pending.done.wait, lambda: clock.sleep(patience))
        if not pending.done.is_set():
            return words.waiting().answer()
        over, result = _over(base, transaction), self.finishing.collect(pending)
        match result:
            case SignedIn(cookie=cookie):
                return self._signed_in(cookie.reveal(), base, transaction)
            case Page():
                return result.answer(over)
            case None:
                return None

    def _signed_in(self, value: str, base: Base, transaction: Transaction) -> Answer:
        """Send the browser to where it wanted to be, with what it is known by from now on.

        It comes from the issuer, so it will say that another site has sent it, at each reload of
        that page too. What its user himself has asked for is let through all the same.

        What another site has thought of is shown at once. Our page that waits asks again as a
        page of this origin, so whatever it is sent to from there looks like its user's own wish.
        """
        to = transaction.way_back
        headers = [("Set-Cookie", cookies.set_cookie(base, base.cookie, value))]
        may_ask = Target.of(to).may_ask
        if may_ask and not transaction.is_meant:
            return words.from_elsewhere(base, to).answer(*headers, _over(base, transaction))
        if may_ask:
            mark = self._services.hash_of("arrival", f"{value} {to}").hex()
            arrival = cookies.set_cookie(base, cookies.arrival_cookie(base), mark)
            headers.append(("Set-Cookie", arrival))
        return redirect(base.url + to, *headers, _over(base, transaction))


def _over(base: Base, transaction: Transaction) -> Header:
    """Return what takes the sign-in's cookie back."""
    name = cookies.sign_in_cookie(base, transaction.slot)
    return "Set-Cookie", cookies.set_cookie(base, name, "", max_age=0)
