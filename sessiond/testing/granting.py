"""What a fake issuer has granted: keys, grants, and the tokens of each."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

CLIENT = "qstudio"  # whose tokens they are (RFC 9068, 2.2)
REFRESH_MARK = "fake-refresh-"  # what every refresh token begins with
ID_TOKEN_LIFE = 300  # seconds


@dataclass(slots=True, kw_only=True)
class Grant:
    """What came of one sign-in: a chain of refresh tokens, of which the last is good."""

    user: str
    claims: dict[str, Any]  # of its access tokens
    expires_in: float  # seconds
    is_opaque: bool = False
    refresh: str = ""  # the one that is good
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Brings:
    """In what the tokens of a refresh differ from those of its sign-in."""

    expires_in: float | None = None  # seconds of the access token
    skew: float = 0.0  # seconds by which its times are ahead
    claims: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)  # members; None = left out


SAME = Brings()


class Grants:
    """Signs, and knows every token that it ever gave. Not for many threads at once."""

    def __init__(
        self,
        url: str,
        now: Callable[[], float],
        *,
        audience: str,
        claims: Mapping[str, Any],
        life: float,
        detects_reuse: bool,
    ) -> None:
        """Begin with one key (ES256).

        Args:
            url: `iss`.
            now: Tells Unix time.
            audience: `aud`.
            claims: More, or others instead; None leaves one out.
            life: Seconds of an access token, where nothing else is said.
            detects_reuse: A refresh token that comes twice ends its whole sign-in.
        """
        self.url = url
        self.disabled: set[str] = set()  # users
        self.now = now
        self._about_token = {"aud": audience, "client_id": CLIENT}
        self._more = dict(claims)
        self._life = life
        self._detects_reuse = detects_reuse
        self._keys: list[ECKey] = []
        self._by_token: dict[str, Grant] = {}
        self._claims: dict[str, dict[str, Any]] = {}  # by access token
        self.rotate_keys(withdraw=True)

    def grant(
        self,
        user: str,
        expires_in: float | None = None,
        *,
        is_opaque: bool = False,
        about: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> Grant:
        """Return a new grant; nobody has a token of it yet.

        Args:
            user: Whose.
            expires_in: Seconds that its access tokens are good; None: as always here.
            is_opaque: They are random texts.
            about: Claims of the sign-in itself, which those of all tokens come before.
            claims: More, or others instead; None leaves one out.
        """
        plain = {"iss": self.url, **self._about_token, **_who(user), **(about or {})}
        return Grant(
            user=user,
            claims={**plain, **self._more, **claims},
            expires_in=self._life if expires_in is None else expires_in,
            is_opaque=is_opaque,
        )

    def rotate_keys(self, *, withdraw: bool) -> None:
        """Sign with a new key; the earlier ones are withdrawn, or stay known."""
        key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig"})
        self._keys = [key] if withdraw else [key, *self._keys]

    def keys(self) -> dict[str, Any]:
        """Return the public ones (RFC 7517, 5)."""
        return dict(KeySet([*self._keys]).as_dict(private=False))

    def access(
        self, grant: Grant, *, brings: Brings = SAME, by_stranger: bool = False
    ) -> tuple[str, float]:
        """Return an access token and the seconds until its end."""
        now = int(self.now() + brings.skew)
        expires_in = grant.expires_in if brings.expires_in is None else brings.expires_in
        plain = {"iat": now, "exp": now + int(expires_in), "jti": str(uuid4())}
        said = {**plain, **grant.claims, **brings.claims}
        claims = {name: value for name, value in said.items() if value is not None}
        token = f"opaque-{secrets.token_urlsafe(24)}"
        if not grant.is_opaque:
            token = self._signed("at+jwt", claims, by_stranger=by_stranger)
        self._by_token[token], self._claims[token] = grant, claims
        return token, expires_in

    def identity(self, user: str, **claims: Any) -> str:
        """Return an ID token (OpenID Connect Core, 2); empty claims are left out."""
        now = int(self.now())
        said = {"iss": self.url, **_who(user), "iat": now, "exp": now + ID_TOKEN_LIFE, **claims}
        return self._signed("JWT", {name: value for name, value in said.items() if value})

    def refresh(self, grant: Grant) -> str:
        """Return the grant's next refresh token; those before are spent."""
        grant.refresh = REFRESH_MARK + secrets.token_urlsafe(24)
        self._by_token[grant.refresh] = grant
        return grant.refresh

    def of(self, token: str) -> Grant | None:
        """Return the grant of a token, whether it is good or not."""
        return self._by_token.get(token)

    def revoke(self, token: str) -> None:
        """End the grant of a token, if it has one."""
        if (grant := self.of(token)) is not None:
            grant.is_over = True

    def spend(self, refresh_token: str) -> Grant | None:
        """Return the grant to continue; None: refused.

        A second use ends all that came from the same sign-in where reuse is detected, since
        somebody else holds a copy (RFC 9700, 4.14.2).
        """
        grant = self._by_token.get(refresh_token)
        if grant is None or grant.is_over or grant.user in self.disabled:
            return None
        if grant.refresh != refresh_token:
            grant.is_over = self._detects_reuse
            return None
        return grant

    def good_claims(self, token: str) -> Mapping[str, Any] | None:
        """Return what an access token says, while it is good."""
        claims = self._claims.get(token)
        if claims is None or self._by_token[token].is_over:
            return None
        return claims if claims.get("exp", 0) > self.now() else None

    def _signed(self, kind: str, claims: dict[str, Any], *, by_stranger: bool = False) -> str:
        key = ECKey.generate_key("P-256") if by_stranger else self._keys[0]
        return jwt.encode({"alg": "ES256", "typ": kind, "kid": self._keys[0].kid}, claims, key)


def _who(user: str) -> dict[str, str]:
    return {"preferred_username": user, "sub": str(uuid5(NAMESPACE_URL, user))}
