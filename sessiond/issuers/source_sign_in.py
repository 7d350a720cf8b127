"""Signs an operator in for a source, by the browser or with a device code."""

from functools import partial

from sessiond.clock import Clock
from sessiond.core.errors import UnusableAnswer
from sessiond.issuers.authorization_code import AuthorizationCodeGrant
from sessiond.issuers.client import Client
from sessiond.issuers.device import DeviceGrant, device_endpoints
from sessiond.issuers.discovery import SUFFIX
from sessiond.issuers.http import IssuerHttp
from sessiond.issuers.source_tokens import Wanted
from sessiond.refresher import Tokens
from sessiond.sources.authorizing import BrowserSignIn, DevicePrompt
from sessiond.web.web_client import AuthorizationRequest


class SourceSignIn:
    """A SourceAuthorizer (sessiond.sources), at one issuer."""

    def __init__(
        self,
        *,
        http: IssuerHttp,
        codes: AuthorizationCodeGrant,
        client: Client,
        wanted: Wanted,
        issuer: str,
        discovery: str,
        token_endpoint: str,
        clock: Clock,
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks the issuer.
            codes: What redeems a browser's.
            client: The source's.
            wanted: What its tokens are for.
            issuer: What the metadata must call itself.
            discovery: Where the metadata is; empty means below `issuer`.
            token_endpoint: Overrides what it says; empty text overrides nothing.
            clock: Waits for people.
        """
        self._http = http
        self._codes = codes
        self._client = client
        self._wanted = wanted
        self._issuer = issuer
        self._url = discovery or issuer.rstrip("/") + SUFFIX
        self._token_endpoint = token_endpoint
        self._clock = clock

    async def address(self, sign_in: BrowserSignIn) -> str:
        """Return where a browser is sent; see `sessiond.sources.authorizing.SourceAuthorizer`."""
        return await self._codes.authorization_url(
            AuthorizationRequest(
                redirect_uri=sign_in.redirect_uri,
                state=sign_in.state,
                nonce=sign_in.nonce,
                verifier=sign_in.verifier,
            )
        )

    async def iss_fault(self, iss: str | None) -> str:
        """Return why an answer is not the issuer's."""
        return await self._codes.iss_fault(iss)

    async def redeem(self, code: str, sign_in: BrowserSignIn) -> Tokens:
        """Spend a code."""
        redeemed = await self._codes.redeem(
            code=code,
            redirect_uri=sign_in.redirect_uri,
            verifier=sign_in.verifier,
            nonce=sign_in.nonce,
        )
        return redeemed.tokens

    async def prompt(self) -> DevicePrompt:
        """Return a new device code."""
        endpoints = await device_endpoints(
            self._http, issuer=self._issuer, url=self._url, token_endpoint=self._token_endpoint
        )
        if endpoints is None:
            raise UnusableAnswer(
                f"{self._issuer} has no device codes (its metadata names no "
                "device_authorization_endpoint), wanted one: sign in by the browser"
            )
        grant = DeviceGrant(
            http=self._http, endpoints=endpoints, client=self._client, clock=self._clock
        )
        code = await grant.begin(self._wanted.form)
        return DevicePrompt(
            user_code=code.user_code,
            url=code.url,
            complete_url=code.complete_url,
            expires_in=code.expires_in,
            finish=partial(grant.finish, code),
        )
