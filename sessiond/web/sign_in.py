"""Sends a browser to its issuer. What has to be known again goes with it, sealed."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote

from sessiond.core.errors import IssuerUnavailable
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout
from sessiond.core.web_login import SIGN_IN_LASTS
from sessiond.web import cookies, words
from sessiond.web.answer import Answer, redirect
from sessiond.web.at_once import at_once
from sessiond.web.base import SIGN_IN, Base
from sessiond.web.needs import WebServices, WebSettings
from sessiond.web.pages import Link, Page
from sessiond.web.request import Request
from sessiond.web.target import URL_SAFE, Target, parameters, way_back
from sessiond.web.transaction import Transaction
from sessiond.web.web_client import AuthorizationRequest, WebClient


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Where a browser wants to be once its user is signed in."""

    path: str
    is_meant: bool  # see Transaction


class SignIn:
    """Begins sign-ins. Nothing of one is kept here."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    async def begin(self, request: Request, base: Base) -> Answer:
        """Return the way to the issuer of whoever wants a page; of several, he chooses one."""
        clients = self._services.settings().clients
        wanted = _Wanted(way_back(request.target), is_meant=not request.is_from_elsewhere)
        if len(clients) > 1:
            return _chooser(base, sorted(clients), wanted)
        (client,) = clients.values()
        return await self._begin_at(client, request, base, wanted)

    async def chosen(self, request: Request, base: Base) -> Answer:
        """Return the way to the issuer that was chosen.

        Raises:
            RepeatedParameter: The choice is not clear.
        """
        asked = parameters(Target.of(request.target).query)
        clients = self._services.settings().clients
        wanted = _Wanted(
            way_back(asked.get("to", "/")),
            is_meant=not (request.is_from_elsewhere or asked.get("from")),
        )
        client = clients.get(asked.get("issuer", ""))
        if client is None:
            return _chooser(base, sorted(clients), wanted)
        return await self._begin_at(client, request, base, wanted)

    async def _begin_at(
        self, client: WebClient, request: Request, base: Base, wanted: _Wanted
    ) -> Answer:
        services = self._services
        now, sealing = services.clock.now(), services.sealing()
        slot = self._slot(request.cookie, base, now)
        transaction = Transaction(
            state=f"{slot}{services.random()}",
            nonce=services.random(),
            verifier=Secret(services.random()),
            way_back=wanted.path,
            is_meant=wanted.is_meant,
            issuer=client.issuer,
            made_at=now,
        )
        asked = _asked(transaction, base, services.settings(), request.about)
        try:
            url = await at_once(services.clock, partial(client.authorization_url, asked))
        except IssuerUnavailable:
            return words.unavailable(base, to=transaction.again).answer()
        name = cookies.sign_in_cookie(base, slot)
        sealed = transaction.sealed(base, sealing)
        max_age = int(SIGN_IN_LASTS.total_seconds())
        kept = cookies.set_cookie(base, name, sealed, max_age=max_age)
        services.metrics.sign_in_begun(client.issuer)
        return redirect(quote(url, safe=URL_SAFE), ("Set-Cookie", kept))

    def _slot(self, header: str, base: Base, now: datetime) -> int:
        """Return which of the browser's cookies to use: a free one, else that begun first.

        Of several free ones any: tabs that are opened together then seldom have the same.
        """
        sealing = self._services.sealing()
        free, begun = list[int](), list[tuple[datetime, int]]()
        for slot in range(cookies.SIGN_IN_SLOTS):
            transaction = Transaction.sent(header, base, slot, sealing, now=now)
            if transaction is None:
                free.append(slot)
            else:
                begun.append((transaction.made_at, slot))
        if not free:
            return min(begun)[1]
        return free[int(self._services.draw() * len(free))]


def _asked(
    transaction: Transaction, base: Base, settings: WebSettings, about: ProcessAbout
) -> AuthorizationRequest:
    """Return what the issuer is asked, with what the process asks of people."""
    ceiling = settings.access.ceiling_of(about)
    max_age = None
    if ceiling is not None and ceiling.max_age:
        max_age = int(ceiling.max_age.total_seconds())
    return AuthorizationRequest(
        redirect_uri=base.callback,
        state=transaction.state,
        nonce=transaction.nonce,
        verifier=transaction.verifier,
        max_age=max_age,
        acr_values=() if ceiling is None else ceiling.acr,
    )


def _chooser(base: Base, issuers: list[str], wanted: _Wanted) -> Answer:
    """Return the page with a button for each issuer; a click makes no other site's word meant."""
    to = quote(wanted.path, safe="") + ("" if wanted.is_meant else "&from=elsewhere")
    links = [
        Link(f"{base.url}{SIGN_IN}?issuer={quote(each, safe='')}&to={to}", each) for each in issuers
    ]
    return Page(title="Sign in", texts=["Choose where you have an account."], links=links).answer()
