"""A client of any OpenID Connect issuer, by Authlib's requests.

Authlib's own client for httpx is not used: it would send, and read, by rules of its own. So the
requests are Authlib's, what they go through is ours, and Authlib reads what has been judged.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from sessiond_login.errors import IssuerUnavailable
from sessiond_login.issuers.answers import Answer, Refused, answer_of, judged
from sessiond_login.issuers.client import Asked, Prompt
from sessiond_login.issuers.device import DeviceCode, device_code_of
from sessiond_login.issuers.http import IssuerHttp
from sessiond_login.issuers.metadata import Metadata
from sessiond_login.profile import Profile
from sessiond_login.secret import Secret

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628, 3.4


class OidcClient:
    """A Client (sessiond_login.issuers.client)."""

    def __init__(self, *, profile: Profile, http: IssuerHttp, metadata: Metadata) -> None:
        self._profile = profile
        self._http = http
        self._metadata = metadata
        self._scope = " ".join(profile.scopes)
        self._resource = {"resource": profile.resource} if profile.resource else {}
        self._audience = {"audience": profile.audience} if profile.audience else {}

    def ask(self, redirect_uri: str, prompt: Prompt) -> Asked:
        """Return a new authorization request, with PKCE (RFC 7636)."""
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        optional = {
            "prompt": prompt or None,
            "acr_values": self._profile.acr_values or None,
            "max_age": None if self._profile.max_age is None else str(self._profile.max_age),
        }
        url, state = self._oauth.create_authorization_url(
            self._metadata.endpoint("authorization_endpoint"),
            state=secrets.token_urlsafe(24),
            code_verifier=verifier,
            nonce=nonce,
            redirect_uri=redirect_uri,
            **optional,
            **self._resource,
            **self._audience,
        )

        def redeem(answer: Mapping[str, str]) -> Answer:
            return self._fetch(
                "authorization_code",
                code=answer["code"],
                redirect_uri=redirect_uri,
                code_verifier=verifier,
            )

        return Asked(url=url, state=state, nonce=nonce, redeem=redeem)

    def needs_consent(self, answer: Answer) -> bool:
        """Say whether offline_access has come to nothing for want of `prompt=consent`.

        OpenID Connect Core, 11 lets an issuer ignore it without; most do not.
        """
        return answer.refresh is None and "offline_access" in self._profile.scopes

    def device_code(self) -> DeviceCode:
        """Return a new code to be entered elsewhere.

        With PKCE where the issuer does it: RFC 8628 has none, but Keycloak wants it of a client
        that is to use it.
        """
        verifier = secrets.token_urlsafe(48) if self._metadata.does_pkce else ""
        form = {"client_id": self._profile.client_id, "scope": self._scope}
        if verifier:
            form["code_challenge"] = create_s256_code_challenge(verifier)
            form["code_challenge_method"] = "S256"
        endpoint = self._metadata.endpoint("device_authorization_endpoint")
        reply = self._http.post_form(endpoint, form | self._resource | self._audience)
        members = reply.members()
        if not reply.is_success:
            if members is None or "error" not in members or reply.status >= 500:
                raise reply.unusable("a device code")
            raise Refused(members["error"], members.get("error_description"))
        code = device_code_of(members, insecure_http=self._profile.insecure_http)
        return replace(code, verifier=Secret(verifier) if verifier else None)

    def poll(self, code: DeviceCode) -> Answer:
        verifier = "" if code.verifier is None else code.verifier.reveal()
        return self._fetch(DEVICE_GRANT, device_code=code.code.reveal(), code_verifier=verifier)

    def by_password(self, user: str, password: Secret) -> Answer:
        return self._fetch(
            "password",
            username=user,
            password=password.reveal(),
            scope=self._scope,
            **self._audience,
        )

    def refresh(self, refresh: Secret) -> Answer:
        """Spend a refresh token. Without scope: those that were granted (RFC 6749, 6)."""
        return self._fetch("refresh_token", refresh_token=refresh.reveal())

    def revoke(self, refresh: Secret) -> bool:
        if "revocation_endpoint" not in self._metadata.endpoints:
            return False
        self._oauth.revoke_token(
            self._metadata.endpoints["revocation_endpoint"],
            token=refresh.reveal(),
            token_type_hint="refresh_token",  # noqa: S106 -- a kind of token
        )
        return True

    def _fetch(self, grant_type: str, **fields: str) -> Answer:
        fields = {"scope": "", **fields, **self._resource}
        return answer_of(
            self._oauth.fetch_token(
                self._metadata.endpoint("token_endpoint"), grant_type=grant_type, **fields
            )
        )

    @cached_property
    def _oauth(self) -> Any:
        return OAuth2Client(
            session=_Session(self._http, self._profile.client_id),
            client_id=self._profile.client_id,
            scope=self._scope,
            code_challenge_method="S256",
            token_endpoint_auth_method="none",  # noqa: S106 -- a method
        )


class _Session:
    """What Authlib posts its forms through."""

    def __init__(self, http: IssuerHttp, client_id: str) -> None:
        self._http = http
        self._client_id = client_id

    def post(self, url: str, *, data: Mapping[str, str], **_: object) -> "_Judged | None":
        """Post a form as the public client that we are."""
        reply = self._http.post_form(url, {**data, "client_id": self._client_id})
        if "grant_type" in data:
            return _Judged(judged(reply))
        if not reply.is_success:  # a revocation (RFC 7009, 2.2)
            members = reply.members() or {}
            if "error" in members and reply.status < 500:
                raise Refused(members["error"], members.get("error_description"))
            raise reply.unusable("the grant taken back")
        return None


class _Judged:
    """An answer with nothing in it that Authlib could fail at."""

    status_code = 200

    def __init__(self, members: Mapping[str, str | float]) -> None:
        self._members = {
            name: int(value) if isinstance(value, float) else value
            for name, value in members.items()
        }

    def json(self) -> dict[str, str | int]:
        return dict(self._members)

    def raise_for_status(self) -> None:
        raise IssuerUnavailable("the issuer's answer cannot be read: try again later")
