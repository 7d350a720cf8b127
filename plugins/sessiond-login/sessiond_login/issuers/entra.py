"""A client of Microsoft Entra ID, by MSAL.

What MSAL sends goes through the same IssuerHttp as everything else, which alone decides on time,
size and trust; what it is shown of an answer has been judged. It keeps nothing.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import msal

from sessiond_login.errors import IssuerUnavailable
from sessiond_login.issuers.answers import Answer, Refused, answer_of, judged
from sessiond_login.issuers.client import Asked, Prompt
from sessiond_login.issuers.device import DeviceCode, device_code_of
from sessiond_login.issuers.http import IssuerHttp, Reply
from sessiond_login.issuers.metadata import Metadata
from sessiond_login.profile import Profile
from sessiond_login.secret import Secret

RESERVED_SCOPES = frozenset({"openid", "profile", "offline_access"})  # which MSAL adds by itself
T = TypeVar("T")


class EntraClient:
    """A Client (sessiond_login.issuers.client)."""

    def __init__(self, *, profile: Profile, http: IssuerHttp, metadata: Metadata) -> None:
        self._profile = profile
        self._http = http
        self._metadata = metadata
        self._scopes = [scope for scope in profile.scopes if scope not in RESERVED_SCOPES]

    def ask(self, redirect_uri: str, prompt: Prompt) -> Asked:
        """Return a new authorization request; MSAL draws its state, nonce and verifier."""
        flow = self._run(
            lambda: self._application.initiate_auth_code_flow(
                self._scopes,
                redirect_uri=redirect_uri,
                prompt=prompt or None,
                max_age=self._profile.max_age,
            )
        )
        url = flow["auth_uri"]
        if self._profile.acr_values:
            url += "&" + urlencode({"acr_values": self._profile.acr_values})

        def redeem(answer: Mapping[str, str]) -> Answer:
            application = self._application
            return self._answer(
                partial(application.acquire_token_by_auth_code_flow, flow, dict(answer))
            )

        nonce = dict(parse_qsl(urlsplit(url).query))["nonce"]  # MSAL sends a hash of its own
        return Asked(url=url, state=flow["state"], nonce=nonce, redeem=redeem)

    def needs_consent(self, answer: Answer) -> bool:
        return False

    def device_code(self) -> DeviceCode:
        flow = self._run(lambda: self._application.initiate_device_flow(self._scopes))
        return device_code_of(flow, insecure_http=self._profile.insecure_http)

    def poll(self, code: DeviceCode) -> Answer:
        """Ask once: MSAL would wait by itself, for as long as the issuer says."""
        flow = {"device_code": code.code.reveal(), "interval": 0}
        application = self._application
        return self._answer(
            lambda: application.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
        )

    def by_password(self, user: str, password: Secret) -> Answer:
        """Send the password to the tenant alone: MSAL would take it wherever the name leads."""
        form = {
            "grant_type": "password",
            "client_id": self._profile.client_id,
            "username": user,
            "password": password.reveal(),
            "scope": " ".join(self._profile.scopes),
        }
        endpoint = self._metadata.endpoint("token_endpoint")
        return answer_of(judged(self._http.post_form(endpoint, form)))

    def refresh(self, refresh: Secret) -> Answer:
        application = self._application
        return self._answer(
            lambda: application.acquire_token_by_refresh_token(refresh.reveal(), self._scopes)
        )

    def revoke(self, refresh: Secret) -> bool:
        """Say False: Entra has no RFC 7009."""
        return False

    @cached_property
    def _application(self) -> Any:
        """MSAL's client, which asks for the tenant's metadata once more."""
        return self._run(
            lambda: msal.PublicClientApplication(
                self._profile.client_id,
                authority=self._profile.issuer.rstrip("/").removesuffix("/v2.0"),
                instance_discovery=False,  # the profile says whom to trust
                http_client=_MsalHttp(self._http),
                token_cache=_NoCache(),
            )
        )

    def _answer(self, call: Callable[[], object]) -> Answer:
        found = self._run(call)
        if not isinstance(found, dict) or "access_token" not in found:
            raise _gave_up("no answer")
        return answer_of(found)

    def _run(self, call: Callable[[], T]) -> T:
        """Return what MSAL returns. What it raises of its own carries what was sent or answered."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of form_post, and of polling by ourselves
                return call()
        except (
            ValueError, TypeError, AttributeError, LookupError, RuntimeError, AssertionError,
            ArithmeticError, msal.exceptions.MsalError,
        ) as error:  # fmt: skip
            fault = type(error).__name__
        raise _gave_up(fault)


def _gave_up(fault: str) -> IssuerUnavailable:
    return IssuerUnavailable(
        f"MSAL gave up ({fault}), wanted an answer: see the profile's issuer, "
        "https://login.microsoftonline.com/TENANT/v2.0, and its scopes"
    )


class _NoCache(msal.TokenCache):  # type: ignore[misc]  # msal has no types
    """Keeps no token."""

    def add(self, event: object, now: object = None) -> None:
        """Keep nothing."""


class _MsalHttp:
    """The HTTP client that MSAL is given."""

    def __init__(self, http: IssuerHttp) -> None:
        self._http = http

    def get(self, url: str, *, params: Mapping[str, str] | None = None, **_: object) -> "_Shown":
        reply = self._http.get(_with(url, params))
        members = reply.members() if reply.is_success else None
        if members is None:
            raise reply.unusable("the issuer's metadata")
        return _Shown(members)

    def post(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, object] | None = None,
        **_: object,
    ) -> "_Shown":
        form = {name: str(value) for name, value in (data or {}).items() if value is not None}
        reply = self._http.post_form(_with(url, params), form)
        return _Shown(judged(reply) if "grant_type" in form else _device_members(reply))

    def close(self) -> None:
        """Close nothing: the IssuerHttp is not ours."""


class _Shown:
    """A good answer, in the shape that MSAL reads."""

    status_code = 200

    def __init__(self, members: Mapping[str, object]) -> None:
        self.headers: dict[str, str] = {}
        self.text = json.dumps(members)

    def raise_for_status(self) -> None:
        """Raise nothing: what would be raised for has been."""


def _device_members(reply: Reply) -> dict[str, object]:
    members = reply.members()
    if members is None or reply.status >= 500:
        raise reply.unusable("a device code")
    if not reply.is_success:
        raise Refused(members.get("error"), members.get("error_description"))
    return members


def _with(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
