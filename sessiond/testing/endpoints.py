"""What a fake issuer answers while nothing is wrong with it."""

from collections.abc import Mapping
from typing import Any

from sessiond.testing.answer import Answer, Asked
from sessiond.testing.granting import SAME, Brings, Grant, Grants

PATHS = {
    "/.well-known/openid-configuration": "discovery",
    "/keys": "keys",
    "/token": "token",
    "/introspection": "introspection",
    "/userinfo": "userinfo",
    "/revocation": "revocation",
}
INACTIVE = {"active": False}
ABOUT_TOKEN = ("iss", "aud", "client_id", "iat", "exp", "jti")
UNAUTHORIZED = Answer(401, {"error": "invalid_token"}, {"WWW-Authenticate": "Bearer"})
UNKEPT = {"Cache-Control": "no-store"}  # RFC 6749, 5.1


class Endpoints:
    """One issuer's. Not for many threads at once."""

    def __init__(self, grants: Grants, *, client: str, passwords: Mapping[str, str]) -> None:
        """Serve what was granted.

        Args:
            grants: The issuer's.
            client: Only this one is given tokens; empty = whoever asks.
            passwords: By user.
        """
        self.metadata: dict[str, str | None] = {}  # what it says otherwise
        self.brings = SAME
        self._grants = grants
        self._client = client
        self._passwords = passwords

    def answer(self, endpoint: str, asked: Asked) -> Answer:
        """Return what is answered to a request."""
        token = asked.form.get("token", "")
        match asked.method, endpoint:
            case "GET", "discovery":
                return Answer(200, self._discovery())
            case "GET", "keys":
                return Answer(200, self._grants.keys())
            case "POST", "token":
                return self._tokens(asked.form)
            case "POST", "introspection":
                return Answer(200, self._introspected(token))
            case "GET" | "POST", "userinfo":
                return self._user(asked.headers.get("authorization", "").removeprefix("Bearer "))
            case "POST", "revocation":
                self._grants.revoke(token)
                return Answer(200, {})  # also for a token that nobody knows (RFC 7009, 2.2)
            case _:
                return Answer(404, {"error": "not_found"})

    def _discovery(self) -> dict[str, Any]:
        """Return what OpenID Connect Discovery 1.0, section 3, asks for."""
        ends = {name: f"{self._grants.url}{path}" for path, name in PATHS.items()}
        members = {
            "issuer": self._grants.url,
            "authorization_endpoint": f"{self._grants.url}/authorization",  # nobody is there
            "jwks_uri": ends["keys"],
            "token_endpoint": ends["token"],
            "introspection_endpoint": ends["introspection"],
            "userinfo_endpoint": ends["userinfo"],
            "revocation_endpoint": ends["revocation"],
            **self.metadata,
        }
        return {name: value for name, value in members.items() if value is not None}

    def _tokens(self, form: Mapping[str, str]) -> Answer:
        """Answer as RFC 6749, 5.1 and 5.2, have it."""
        if self._client and form.get("client_id") != self._client:
            return _refusal("invalid_client")
        match form.get("grant_type"):
            case "refresh_token":
                return self._refreshed(form.get("refresh_token", ""))
            case "password" if self._passwords:
                return self._signed_in(form)
            case _:
                return _refusal("unsupported_grant_type")

    def _signed_in(self, form: Mapping[str, str]) -> Answer:
        user, password = form.get("username", ""), form.get("password")
        if self._passwords.get(user) != password or user in self._grants.disabled:
            return _refusal("invalid_grant")
        target: dict[str, Any] = {"aud": form["resource"]} if "resource" in form else {}  # RFC 8707
        return self._given(self._grants.grant(user, **target), SAME)

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
