"""What a fake issuer answers while nothing is wrong with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sessiond.testing import clients, device
from sessiond.testing.answer import Answer, Asked
from sessiond.testing.authorization import Authorization
from sessiond.testing.clients import Clients
from sessiond.testing.device import Devices
from sessiond.testing.granting import SAME, Brings, Grant, Grants
from sessiond.testing.leaving import Leaving
from sessiond.testing.people import Consent, People

PATHS = {
    "/.well-known/openid-configuration": "discovery",
    "/keys": "keys",
    "/authorization": "authorization",
    "/device_authorization": "device_authorization",
    "/device": "device",
    "/token": "token",
    "/introspection": "introspection",
    "/userinfo": "userinfo",
    "/revocation": "revocation",
    "/end_session": "end_session",
}
ENDPOINTS = [name for name in PATHS.values() if name not in ("discovery", "keys", "device")]
SUPPORTED = {
    "response_types_supported": ["code"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["ES256"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,  # RFC 9207, 3
}
INACTIVE = {"active": False}
ABOUT_TOKEN = ("iss", "aud", "client_id", "iat", "exp", "jti")
UNAUTHORIZED = Answer(401, {"error": "invalid_token"}, {"WWW-Authenticate": "Bearer"})
UNKEPT = {"Cache-Control": "no-store"}  # RFC 6749, 5.1


class Endpoints:
    """One issuer's. Not for many threads at once."""

    def __init__(
        self,
        grants: Grants,
        *,
        client: str,
        programs: Mapping[str, str],
        passwords: Mapping[str, str],
    ) -> None:
        """Serve what was granted.

        Args:
            grants: The issuer's.
            client: Whom people sign in with, alone; empty = whoever asks. Its secret is anything.
            programs: Clients that get tokens of their own, with their secrets.
            passwords: By user.
        """
        self.metadata: dict[str, str | None] = {}  # what it says otherwise
        self.brings = SAME
        self._grants = grants
        self._clients = Clients(grants, client=client, programs=programs)
        self._has_programs = bool(programs)
        self._people = People(passwords, grants.disabled, grants.now)
        self._has_passwords = bool(passwords)
        self._authorization = Authorization(grants, self._people, client=client)
        self._devices = Devices(grants, self._people)
        self._leaving = Leaving(self._people, client=client)

    def answer(self, endpoint: str, asked: Asked) -> Answer:
        """Return what is answered to a request."""
        token = asked.form.get("token", "")
        match asked.method, endpoint:
            case "GET", "discovery":
                return Answer(200, self._discovery())
            case "GET", "keys":
                return Answer(200, self._grants.keys())
            case "GET" | "POST", "authorization":
                return self._authorization.answer(asked)
            case "POST", "device_authorization":
                return self._clients.refusal(asked) or self._devices.begin(asked.form)
            case "GET" | "POST", "device":
                return self._devices.page(asked)
            case "POST", "token":
                return self._clients.refusal(asked) or self._tokens(asked)
            case "POST", "introspection":
                return Answer(200, self._introspected(token))
            case "GET" | "POST", "userinfo":
                return self._user(asked.headers.get("authorization", "").removeprefix("Bearer "))
            case "POST", "revocation":
                self._grants.revoke(token)
                return Answer(200, {})  # also for a token that nobody knows (RFC 7009, 2.2)
            case "GET" | "POST", "end_session":
                return self._leaving.answer(asked)
            case _:
                return Answer(404, {"error": "not_found"})

    def _discovery(self) -> dict[str, Any]:
        """Return what OpenID Connect Discovery 1.0, section 3, asks for."""
        ends = {name: f"{self._grants.url}{path}" for path, name in PATHS.items()}
        members = {
            "issuer": self._grants.url,
            "jwks_uri": ends["keys"],
            **{f"{name}_endpoint": ends[name] for name in ENDPOINTS},
            **SUPPORTED,
            **self.metadata,
        }
        return {name: value for name, value in members.items() if value is not None}

    def _tokens(self, asked: Asked) -> Answer:
        """Answer as RFC 6749, 5.1 and 5.2, have it."""
        form = asked.form
        match form.get("grant_type"):
            case "refresh_token":
                return self._refreshed(form.get("refresh_token", ""))
            case "authorization_code":
                return self._agreed(
                    self._authorization.redeem(form, asked.client) or "invalid_grant"
                )
            case device.GRANT:
                return self._agreed(self._devices.redeem(form))
            case clients.ITS_OWN if self._has_programs:
                return self._alone(self._clients.grant(asked))
            case "password" if self._has_passwords:
                return self._signed_in(form)
            case _:
                return _refusal("unsupported_grant_type")

    def _signed_in(self, form: Mapping[str, str]) -> Answer:
        user = form.get("username", "")
        if not self._people.knows(user, form.get("password")):
            return _refusal("invalid_grant")
        return self._given(self._grants.grant(user, **_for(form.get("resource", ""))), SAME)

    def _alone(self, found: Grant | str) -> Answer:
        """Give a program its own, for which its secret is all that it needs (RFC 6749, 4.4.3)."""
        return _refusal(found) if isinstance(found, str) else self._given(found, clients.ALONE)

    def _agreed(self, found: Consent | str) -> Answer:
        """Give what somebody agreed to; otherwise it is an error's code."""
        if isinstance(found, str):
            return _refusal(found)
        user = found.person.user
        if user in self._grants.disabled:
            return _refusal("invalid_grant")
        auth_time = int(found.person.since)
        about = {"client_id": found.client, "auth_time": auth_time}
        found.grant = self._grants.grant(user, about=about, **_for(found.resource))
        answer = self._given(found.grant, SAME)
        if not found.is_openid:
            return answer
        identity = self._grants.identity(
            user, aud=found.client, nonce=found.nonce, auth_time=auth_time
        )
        return replace(answer, body={**answer.body, "id_token": identity})

    def _refreshed(self, refresh_token: str) -> Answer:
        grant = self._grants.spend(refresh_token)
        return _refusal("invalid_grant") if grant is None else self._given(grant, self.brings)

    def _given(self, grant: Grant, brings: Brings) -> Answer:
        access, expires_in = self._grants.access(grant, brings=brings)
        members = {
            "token_type": "Bearer",
            "access_token": access,
            "refresh_token": self._grants.refresh(grant),
            "expires_in": expires_in,
            **brings.answer,
        }
        said = {name: value for name, value in members.items() if value is not None}
        return Answer(200, said, UNKEPT)

    def _introspected(self, token: str) -> Mapping[str, Any]:
        """Return what RFC 7662, 2.2, asks for."""
        claims = self._grants.good_claims(token)
        return INACTIVE if claims is None else {"active": True, "token_type": "Bearer", **claims}

    def _user(self, token: str) -> Answer:
        claims = self._grants.good_claims(token)
        if claims is None:
            return UNAUTHORIZED
        return Answer(200, {k: v for k, v in claims.items() if k not in ABOUT_TOKEN})


def _refusal(error: str) -> Answer:
    return Answer(400, {"error": error}, UNKEPT)


def _for(resource: str) -> dict[str, Any]:
    """Return the claim that names what a token is for, where that was said (RFC 8707)."""
    return {"aud": resource} if resource else {}
