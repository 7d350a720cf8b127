"""Makes a session of an authorization code: redeemed, verified, and on disk."""

from dataclasses import dataclass, field

import anyio
import structlog

from sessiond.core.access import Denied
from sessiond.core.changes import OpenWeb, SignOut
from sessiond.core.errors import (
    IssuerUnavailable,
    Refusal,
    SignInRefused,
    StoreError,
    TokenRejected,
)
from sessiond.core.grant import GrantId
from sessiond.core.password import Presented
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, SessionId
from sessiond.core.verdict import PresentedTokens
from sessiond.gate import Issued, VerifiedLogin
from sessiond.web import words
from sessiond.web.base import Base
from sessiond.web.finishing import Result, SignedIn
from sessiond.web.needs import WebServices
from sessiond.web.pages import Page
from sessiond.web.request import Request
from sessiond.web.sign_out import end_of_issuers_session
from sessiond.web.transaction import Transaction
from sessiond.web.web_client import Redeemed, WebClient

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A browser that came back from the issuer that its sign-in was sent to, with a code."""

    request: Request
    base: Base
    transaction: Transaction
    client: WebClient
    code: Secret = field(repr=False)
    at: float  # monotonic moment


class Redeeming:
    """Carries out sign-ins, several at a time."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    async def sign_in(self, returned: Returned) -> Result:
        """Return the session that a code is worth, or the page that says why there is none."""
        base, to = returned.base, returned.transaction.again
        try:
            return await self._session_of(returned)
        except SignInRefused as error:
            self.tell_refused(returned, Refusal.INACTIVE, str(error))
            return words.refused_by_issuer(base, error.error, to=to)
        except TokenRejected as error:
            return await self._refused(returned, error.reason, error.detail)
        except (IssuerUnavailable, StoreError) as error:
            self.tell_refused(returned, Refusal.UNAVAILABLE, str(error))
            return words.unavailable(base, to=to)

    async def end(self, signed_in: SignedIn) -> None:
        """End a session whose browser has not come for it."""
        await self._services.table.ask(
            SignOut(process=signed_in.process, session=signed_in.session)
        )

    def tell_refused(
        self, returned: Returned, reason: Refusal, detail: str, *, user: str = ""
    ) -> None:
        """Tell operators of a sign-in that came to nothing, and whose, where that is verified."""
        about, issuer = returned.request.about, returned.client.issuer
        log.info(
            "sign-in",
            outcome="refused",
            user=user,
            process=about.name,
            issuer=issuer,
            reason=reason.value,
            detail=detail,
        )
        self._measure(returned, "failed")
        self._services.table.note_refusal(user=user, issuer=issuer, process=about, reason=reason)

    async def _session_of(self, returned: Returned) -> Result:
        services, request, client = self._services, returned.request, returned.client
        redeemed = await client.redeem(
            code=returned.code.reveal(),
            redirect_uri=returned.base.callback,
            verifier=returned.transaction.verifier,
            nonce=returned.transaction.nonce,
        )
        presented_at = services.clock.now()
        tokens = redeemed.tokens
        presented = services.gate.read_bearer(tokens.access_token.reveal())
        login = await services.gate.admit(
            user=None,
            password=Presented(access=presented.access, refresh=tokens.refresh_token),
            owner=request.process,
            issued=Issued(
                issuer=client.issuer, client=client.client_id, expires_in=tokens.expires_in
            ),
        )
        await self._check_subject(redeemed, login, client)
        refresh = tokens.refresh_token
        return await self._opened(
            returned,
            PresentedTokens(
                verdict=login.verdict,
                access=services.hashed(presented.access),
                refresh=None if refresh is None else services.hashed(refresh),
                refresh_token=refresh,
                client=client.client_id,
                draw=services.draw(),
                presented_at=presented_at,
            ),
            presented.access,
        )

    async def _check_subject(
        self, redeemed: Redeemed, login: VerifiedLogin, client: WebClient
    ) -> None:
        """See that both tokens are of one person (OpenID Connect Core, 5.3.2).

        Raises:
            TokenRejected: USERMISMATCH; the tokens are given back.
        """
        if redeemed.subject and redeemed.subject != login.verdict.principal.subject:
            await client.give_back(redeemed.tokens)
            raise TokenRejected(
                Refusal.USERMISMATCH,
                "the ID token and the access token are of two people, wanted both of one: sign in "
                "again, and tell whoever runs the issuer if it stays so",
            )

    async def _opened(
        self, returned: Returned, presented: PresentedTokens, access: Secret
    ) -> Result:
        """Have the session made: whoever gives up meanwhile still knows which it is."""
        services, request = self._services, returned.request
        cookie = services.random()
        change = OpenWeb(
            session=SessionId(services.new_id()),
            grant=GrantId(services.new_id()),
            process=request.process,
            about=request.about,
            address=request.address,
            presented=presented,
            cookie=services.hash_of("cookie", cookie),
            base=returned.base.url,
            state=services.hash_of("state", returned.transaction.state),
        )
        with anyio.CancelScope(shield=True):
            active = await services.table.ask(change)
        if isinstance(active, Denied):
            name = presented.verdict.principal.name
            return await self._refused(returned, active.reason, active.detail, user=name)
        self._tell_accepted(returned, active)
        session, ends_at = active.session, presented.verdict.lease.expires_at
        services.refresher.keep_access(session.grant, access, until=ends_at)
        if presented.refresh is None:
            issuer = session.principal.issuer
            services.refresher.hold(session.grant, issuer=issuer, access=access)
        return SignedIn(session=active.session.id, process=request.process, cookie=Secret(cookie))

    async def _refused(
        self, returned: Returned, reason: Refusal, detail: str, *, user: str = ""
    ) -> Page:
        self.tell_refused(returned, reason, detail, user=user)
        base, to = returned.base, returned.transaction.again
        leave = await end_of_issuers_session(returned.client, base, self._services.clock)
        return words.refused(base, reason, to=to, leave=leave)

    def _tell_accepted(self, returned: Returned, active: ActiveSession) -> None:
        session = active.session
        log.info(
            "sign-in",
            outcome="accepted",
            user=session.principal.name,
            process=returned.request.about.name,
            issuer=session.principal.issuer,
            session=str(session.id),
        )
        self._measure(returned, "finished")

    def _measure(self, returned: Returned, outcome: str) -> None:
        took = self._services.clock.monotonic() - returned.at
        self._services.metrics.sign_in_over(returned.client.issuer, outcome, took)
