"""Answers requests to q's web server that bring no access token."""

from sessiond.core.errors import Refusal, StoreError
from sessiond.core.session import ActiveSession, ProcessAbout
from sessiond.web import challenge, pages, words
from sessiond.web.answer import BASIC, Answer, redirect, sent
from sessiond.web.base import CALLBACK, SIGN_IN, SIGN_OUT, Base, base_of
from sessiond.web.browser_session import BrowserSessions
from sessiond.web.callback import Callback
from sessiond.web.cookies import RepeatedCookie, is_sent
from sessiond.web.needs import WebServices
from sessiond.web.request import Request
from sessiond.web.sign_in import SignIn
from sessiond.web.sign_out import SigningOut
from sessiond.web.target import RepeatedParameter, Target, local_path


class Web:
    """One for all processes."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._sessions = BrowserSessions(services)
        self._sign_in = SignIn(services)
        self._sign_out = SigningOut(services, self._sessions)
        self._callback = Callback(services)

    async def run(self) -> None:
        """Own the sign-ins that outlive the calls which began them, until stopped."""
        if self._services.settings().is_on:
            pages.prepare()
        await self._callback.finishing.run()

    def stop(self) -> None:
        """Begin to end, once no process is there any more, and while the table is."""
        self._callback.finishing.stop()

    def answer_now(self, request: Request) -> Answer | None:
        """Return the answer that needs nobody; None: ask `answer`."""
        settings = self._services.settings()
        if not settings.is_on:
            return BASIC
        base = base_of(settings.bases, request.host)
        is_for_us = request.is_for_a_person or Target.of(request.target).is_ours
        if base is None:  # no cookie counts there: what is left is a password, of a program
            is_misled = is_for_us or request.is_of_a_browser
            return words.no_such_host(len(settings.bases)).answer() if is_misled else BASIC
        if is_for_us or is_sent(request.cookie, base.cookie):
            return None
        return _no_page() if request.is_of_a_browser else BASIC

    async def answer(self, request: Request, *, deadline: float) -> Answer:
        """Return the answer. May be cancelled any time: what is begun goes on in `run`.

        Args:
            request: Has no bearer.
            deadline: Monotonic moment by which a callback is answered.
        """
        now = self.answer_now(request)
        base = base_of(self._services.settings().bases, request.host)
        if now is not None or base is None:
            return now or BASIC
        with self._services.containment.around("web request", request.about.name):
            return await self._answered(request, base, deadline)
        return words.unavailable(base).answer()

    def bearer_allowed(self, active: ActiveSession) -> Answer:
        """Return the answer to a request with an access token that counts."""
        return Answer(action="allow", active=active, keep=self._services.settings().keep)

    def bearer_denied(self, reason: Refusal, about: ProcessAbout) -> Answer:
        """Return the answer to one with a token that does not, at this process."""
        ceiling = self._services.settings().access.ceiling_of(about)
        return challenge.bearer_denied(reason, ceiling)

    async def _answered(self, request: Request, base: Base, deadline: float) -> Answer:
        try:
            if Target.of(request.target).is_ours:
                return await self._ours(request, base, deadline)
            return await self._page(request, base)
        except (RepeatedCookie, RepeatedParameter):
            return words.unclear().answer()
        except StoreError:
            return words.unavailable(base).answer()

    async def _ours(self, request: Request, base: Base, deadline: float) -> Answer:
        """Return what an address of our own answers. The method of a request is not known."""
        path = Target.of(request.target).path
        if path == CALLBACK:
            answer = await self._callback.answer(request, base, deadline=deadline)
            return answer or await self._over(request, base)
        if path == SIGN_IN:
            return await self._sign_in.chosen(request, base)
        if path == SIGN_OUT:
            return await self._sign_out.answer(request, base)
        return words.not_there(base).answer()

    async def _over(self, request: Request, base: Base) -> Answer:
        """Return the way on from a sign-in that is over, or was never this browser's."""
        active = await self._sessions.find(request, base)
        return redirect(f"{base.url}/") if active else words.not_begun(base).answer()

    async def _page(self, request: Request, base: Base) -> Answer:
        """Let in whoever has a session; have whoever wants a page sign in."""
        has_cookie = is_sent(request.cookie, base.cookie)
        if has_cookie and request.origin and not base.is_origin(request.origin):
            return sent("deny", 403, reason=Refusal.NOTALLOWED.value)
        active = await self._sessions.use(request, base) if has_cookie else None
        if active is not None:
            return self._let_in(active, request, base)
        if request.is_for_a_person:
            return await self._sign_in.begin(request, base)
        return _no_page()

    def _let_in(self, active: ActiveSession, request: Request, base: Base) -> Answer:
        """Let a browser in, unless another site's page has it ask what q may evaluate.

        `SameSite=Lax` lets a link of another site bring the cookie, and `.z.ph` evaluates what
        follows a question mark, escaped or not. So a person says that he meant it.
        """
        is_asked = request.is_from_elsewhere and Target.of(request.target).may_ask
        if is_asked and not self._sessions.is_arrival(request, base):
            return words.from_elsewhere(base, local_path(request.target)).answer()
        return Answer(
            action="allow",
            active=active,
            signout=self._sessions.sign_out_url(active, base),
            keep=self._services.settings().keep,
        )


def _no_page() -> Answer:
    """Return the answer to a page's request whose session is over: without a dialogue."""
    header = "WWW-Authenticate", "Bearer"  # with which no browser asks for a password
    return sent("deny", 401, header, reason=Refusal.EXPIRED.value)
