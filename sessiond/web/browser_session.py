"""The session that a browser shows the cookie of, and the address that ends it."""

import hmac
import re

from sessiond.core.changes import TouchWeb
from sessiond.core.errors import StoreError, TableClosed
from sessiond.core.queries import FindWeb
from sessiond.core.session import ActiveSession
from sessiond.web import cookies
from sessiond.web.base import SIGN_OUT, Base
from sessiond.web.needs import WebServices
from sessiond.web.request import Request
from sessiond.web.target import local_path

_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


class BrowserSessions:
    """Finds them. A cookie counts at the base and the process that it was made for."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    async def find(self, request: Request, base: Base) -> ActiveSession | None:
        """Return the session of the request's cookie; None: there is none, or it is over.

        Raises:
            RepeatedCookie: Which cookie is meant is not clear.
            StoreError: The table is closing.
        """
        value = cookies.value_of(request.cookie, base.cookie)
        if value is None or not _COOKIE.fullmatch(value):
            return None
        hashed = self._services.hash_of("cookie", value)
        find = FindWeb(process=request.process, cookie=hashed, base=base.url)
        return await self._services.table.ask(find)

    async def use(self, request: Request, base: Base) -> ActiveSession | None:
        """Return the same, which from now on lasts as long as one that was just used.

        Where that cannot be written its time goes on, and it is let in until that is over: a full
        disk takes nothing from who is in already.
        """
        active = await self.find(request, base)
        if active is None:
            return None
        try:
            is_live = await self._services.table.ask(TouchWeb(session=active.session.id))
        except TableClosed:
            raise
        except StoreError:
            return active
        return active if is_live else None

    def is_arrival(self, request: Request, base: Base) -> bool:
        """Say whether the request is where its user wanted to be before he signed in.

        Raises:
            RepeatedCookie: There are two that say so.
        """
        value = cookies.value_of(request.cookie, base.cookie)
        mark = cookies.value_of(request.cookie, cookies.arrival_cookie(base)) or ""
        wanted = self._services.hash_of("arrival", f"{value} {local_path(request.target)}").hex()
        return hmac.compare_digest(wanted.encode(), mark.encode(errors="replace"))

    def sign_out_url(self, active: ActiveSession, base: Base) -> str:
        """Return the address that ends a session: nobody else can know it (CSRF)."""
        return f"{base.url}{SIGN_OUT}?t={self._mark(active)}"

    def is_sign_out_of(self, active: ActiveSession, mark: str) -> bool:
        """Say whether an address was made to end this session."""
        return hmac.compare_digest(self._mark(active).encode(), mark.encode(errors="replace"))

    def _mark(self, active: ActiveSession) -> str:
        return self._services.hash_of("signout", str(active.session.id)).hex()
