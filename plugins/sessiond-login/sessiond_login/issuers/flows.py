"""The ways to sign in at one issuer, the same for both kinds of it."""

from collections.abc import Callable, Mapping
from functools import cached_property
from urllib.parse import urlsplit

from sessiond_login.clock import Clock
from sessiond_login.errors import (
    IssuerUnavailable,
    LoginError,
    NotSignedIn,
    RefreshRefused,
)
from sessiond_login.issuer import Granted, Person
from sessiond_login.issuers import pages
from sessiond_login.issuers.answers import ENDED, MAX_LASTS, Answer, Refused
from sessiond_login.issuers.claims import name_in, unverified_claims, user_of
from sessiond_login.issuers.client import Asked, Client, Prompt
from sessiond_login.issuers.device import wait_for
from sessiond_login.issuers.http import IssuerHttp
from sessiond_login.issuers.id_token import IdTokens
from sessiond_login.issuers.keys import IssuerKeys
from sessiond_login.issuers.loopback import Loopback
from sessiond_login.issuers.metadata import Metadata, read_metadata
from sessiond_login.issuers.words import printable, said
from sessiond_login.profile import Profile
from sessiond_login.secret import Secret

BROWSER_WAIT = 180.0  # seconds for a person in a browser

# What an issuer answers to prompt=none where it wants to see the person (OpenID Connect Core,
# 3.1.2.6); Entra says the first two.
_WANTS_TO_SEE = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)
_NO_OFFLINE_ACCESS = (
    "The issuer gives this client no refresh token. Take offline_access out of the profile's "
    "scopes, and you are asked less often; or ask who runs the issuer for one."
)
MakeClient = Callable[[Metadata], Client]


class Flows:
    """An Issuer (sessiond_login.issuer). Nothing is asked of it before the first call."""

    def __init__(
        self, *, profile: Profile, http: IssuerHttp, clock: Clock, make_client: MakeClient
    ) -> None:
        self._profile = profile
        self._http = http
        self._clock = clock
        self._make_client = make_client

    def by_browser(self, person: Person, *, silently_first: bool) -> Granted:
        """Sign in in the browser; see `sessiond_login.issuer.Issuer`."""
        client = self._client
        with Loopback(
            self._profile.redirect_uris, clock=self._clock, wait=BROWSER_WAIT
        ) as loopback:
            prompt: Prompt = "none" if silently_first else ""
            asked = client.ask(loopback.redirect_uri, prompt)
            if not person.open(asked.url):
                person.tell(f"Open this page in a browser of this computer: {asked.url}")
            while True:
                visit = loopback.answer(asked.state)
                try:
                    granted, following = self._taken(asked, visit.params, prompt)
                except LoginError as error:
                    loopback.show_last(visit, pages.failed(str(error)))
                    raise
                if granted is not None:
                    if prompt == "consent" and granted.refresh is None:
                        person.tell(_NO_OFFLINE_ACCESS)
                    loopback.show_last(visit, pages.signed_in(granted.user, self._host))
                    return granted
                prompt = following
                asked = client.ask(loopback.redirect_uri, prompt)
                visit.lead_to(asked.url)

    def by_device_code(self, person: Person) -> Granted:
        """Sign in with a code entered elsewhere; see `sessiond_login.issuer.Issuer`."""

        def whole() -> Answer:
            code = self._client.device_code()
            return wait_for(code, self._client.poll, person=person, clock=self._clock)

        return self._granted(_told(whole), nonce=None)

    def by_password(self, person: Person) -> Granted:
        """Sign in with name and password; see `sessiond_login.issuer.Issuer`."""
        person.tell(
            "Warning: this profile has the password typed here, past the issuer's own page and "
            'its second factor. Wherever the issuer can do it, set flow = "browser".'
        )
        client = self._client
        user, password = person.ask_password("")
        return self._granted(_told(lambda: client.by_password(user, password)), nonce=None)

    def refresh(self, refresh: Secret) -> Granted:
        """Spend a refresh token; see `sessiond_login.issuer.Issuer`."""
        try:
            answer = self._client.refresh(refresh)
        except Refused as refused:
            if refused.error in ENDED:
                raise RefreshRefused(str(refused.reaction())) from None
            raise refused.reaction() from None
        return Granted(
            user=self._user_told_by(answer),
            access=answer.access,
            refresh=answer.refresh or refresh,
            lasts=self._lasts(answer),
        )

    def revoke(self, refresh: Secret) -> bool:
        """Take a grant back; see `sessiond_login.issuer.Issuer`."""
        try:
            return self._client.revoke(refresh)
        except Refused as refused:
            if refused.error in ENDED:
                return True  # it was over before
            raise refused.reaction() from None

    @cached_property
    def _metadata(self) -> Metadata:
        return read_metadata(self._http, self._profile)

    @cached_property
    def _client(self) -> Client:
        return self._make_client(self._metadata)

    @cached_property
    def _id_tokens(self) -> IdTokens:
        return IdTokens(
            keys=IssuerKeys(self._http, self._metadata.endpoint("jwks_uri")),
            clock=self._clock,
            issuer=self._profile.issuer,
            client_id=self._profile.client_id,
        )

    @property
    def _host(self) -> str:
        return urlsplit(self._profile.issuer).hostname or ""

    def _taken(
        self, asked: Asked, params: Mapping[str, str], prompt: Prompt
    ) -> tuple[Granted | None, Prompt]:
        """Return what an answer brings; None, and how to ask the person then, where nothing yet."""
        self._check_sender(params)
        if "error" in params:
            if prompt == "none" and params["error"] in _WANTS_TO_SEE:
                return None, ""
            raise Refused(params["error"], params.get("error_description")).reaction()
        if not params.get("code"):
            raise IssuerUnavailable(
                "the issuer sent you back with neither a code nor an error, wanted a code: ask "
                "who runs the issuer"
            )
        answer = _told(lambda: asked.redeem(params))
        if prompt != "consent" and self._client.needs_consent(answer):
            return None, "consent"
        return self._granted(answer, nonce=asked.nonce), prompt

    def _check_sender(self, params: Mapping[str, str]) -> None:
        """Hold that the answer is of the issuer that was asked (RFC 9207, 2.4)."""
        if "iss" not in params and not self._metadata.names_itself:
            return
        if params.get("iss") != self._profile.issuer:
            raise NotSignedIn(
                f"the answer is from {said(params.get('iss')) or 'an unnamed issuer'}, "
                f"wanted it from {printable(self._profile.issuer)} (RFC 9207): somebody may mix "
                "up two issuers; sign in again, and tell who runs the issuer if it stays so"
            )

    def _granted(self, answer: Answer, *, nonce: str | None) -> Granted:
        claims: Mapping[str, object] = {}
        if answer.id_token is not None:
            claims = self._id_tokens.claims(
                answer.id_token,
                access=answer.access,
                nonce=nonce,
                max_age=None if nonce is None else self._profile.max_age,
            )
        elif nonce is not None and "openid" in self._profile.scopes:
            raise IssuerUnavailable(
                "the issuer gave no ID token, wanted one for the scope openid: ask who runs the "
                "issuer"
            )
        return Granted(
            user=user_of(self._profile.user_claim, id_claims=claims, access=answer.access),
            access=answer.access,
            refresh=answer.refresh,
            lasts=self._lasts(answer),
        )

    def _lasts(self, answer: Answer) -> float | None:
        """Return the seconds that are told, else those until the `exp` of a JWT."""
        if answer.lasts is not None:
            return answer.lasts
        over = unverified_claims(answer.access).get("exp")
        if isinstance(over, bool) or not isinstance(over, int | float):
            return None
        now = self._clock.now()
        left = min(over, now + MAX_LASTS) - now
        return left if left > 0 else None

    def _user_told_by(self, answer: Answer) -> str:
        """Return the name that a refresh tells, empty where it tells none that can be believed.

        Nothing here may fail: the refresh token that came would be lost.
        """
        if answer.id_token is None:
            return name_in(unverified_claims(answer.access), self._profile.user_claim)
        try:
            claims = self._id_tokens.claims(
                answer.id_token, access=answer.access, nonce=None, max_age=None
            )
        except LoginError:
            return ""
        return name_in(claims, self._profile.user_claim)


def _told(ask: Callable[[], Answer]) -> Answer:
    """Return an answer; raise what the person is to be told of a refusal.

    Raises:
        LoginError: The issuer said no.
    """
    try:
        return ask()
    except Refused as refused:
        raise refused.reaction() from None
