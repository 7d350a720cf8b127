"""Ends a browser's session, here and at the issuer (RP-initiated logout)."""

from functools import partial
from urllib.parse import quote

from sessiond.clock import Clock
from sessiond.core.changes import SignOut
from sessiond.core.errors import IssuerUnavailable, StoreError, TableClosed
from sessiond.core.session import ActiveSession
from sessiond.web import cookies, words
from sessiond.web.answer import Answer, redirect
from sessiond.web.at_once import at_once
from sessiond.web.base import Base
from sessiond.web.browser_session import BrowserSessions
from sessiond.web.needs import WebServices
from sessiond.web.request import Request
from sessiond.web.target import URL_SAFE, Target, parameters
from sessiond.web.web_client import WebClient


async def end_of_issuers_session(client: WebClient, base: Base, clock: Clock) -> str:
    """Return where an issuer signs a person out, and leads back; empty: it has none, or not now."""
    try:
        url = await at_once(clock, partial(client.end_session_url, base.callback))
    except IssuerUnavailable:
        return ""
    return quote(url, safe=URL_SAFE)


class SigningOut:
    """Answers the address that a session's pages have for it."""

    def __init__(self, services: WebServices, sessions: BrowserSessions) -> None:
        self._services = services
        self._sessions = sessions

    async def answer(self, request: Request, base: Base) -> Answer:
        """End the session that shows both its cookie and its mark; say so where it has ended.

        Raises:
            RepeatedCookie: Which cookie is meant is not clear.
            RepeatedParameter: Which mark is.
            StoreError: Nothing could be asked.
        """
        mark = parameters(Target.of(request.target).query).get("t", "")
        active = await self._sessions.find(request, base)
        if active is None:
            return redirect(base.callback)
        if not self._sessions.is_sign_out_of(active, mark):
            return words.wrong_sign_out(base).answer()
        await self._end(active)
        taken_back = cookies.set_cookie(base, base.cookie, "", max_age=0)
        return redirect(await self._next(active, base), ("Set-Cookie", taken_back))

    async def _end(self, active: ActiveSession) -> None:
        """End it here. On a full disk too, where only the trace of that comes later."""
        session = active.session
        try:
            await self._services.table.ask(SignOut(process=session.process, session=session.id))
        except TableClosed:
            raise
        except StoreError:  # which the table has told; nobody who signs out is to stay in
            return

    async def _next(self, active: ActiveSession, base: Base) -> str:
        """Return where the issuer signs the person out, or our own last page."""
        services = self._services
        client = services.settings().clients.get(active.session.principal.issuer)
        url = "" if client is None else await end_of_issuers_session(client, base, services.clock)
        return url or base.callback
