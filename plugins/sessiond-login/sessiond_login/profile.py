"""A profile: whom to sign in where, and what its servers are sent."""

from typing import Literal

import msgspec


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[profile.NAME]` table, as `sessionctl client-profile` writes it."""

    kind: Literal["oidc", "entra"] = "oidc"
    issuer: str  # the `iss` of its tokens, letter by letter
    client_id: str  # a public client: there is no secret
    scopes: tuple[str, ...] = ("openid", "profile", "offline_access")
    send: Literal["pair", "access"] = "pair"  # what goes to q in the place of a password
    rotation: Literal["strict", "tolerant"] = "strict"  # of refresh tokens, at this issuer
    flow: Literal["browser", "device", "password"] = "browser"
    user_claim: str = "preferred_username"  # the name that is typed at q
    audience: str = ""  # sent as `audience`, as Auth0 wants it
    resource: str = ""  # sent as `resource` (RFC 8707)
    ca_file: str = ""  # PEM of authorities beside the system's; empty: the system's alone
    insecure_http: bool = False  # http:// is refused unless this is true and the host is loopback
    acr_values: str = ""  # how the person is to be asked (OpenID Connect Core, 3.1.2.1)
    max_age: int | None = None  # seconds since the person was last asked
    redirect_uris: tuple[str, ...] = ("http://localhost",)  # tried in order; no port: any free one
