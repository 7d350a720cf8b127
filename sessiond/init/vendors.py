"""What is known of the issuers of well-known vendors: by whom one is, and what its tokens need.

From the vendors' documentation; docs/issuers.md has the same steps with their reasons.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sessiond import shared_files
from sessiond.config.entra import MICROSOFT_HOSTS

TENANT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Value = str | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration, and why it is set."""

    name: str
    value: Value
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Whose issuer it is. In texts, {audience}, {program}, {scope} and the like are filled in."""

    title: str
    word: str  # what the configuration calls its issuer
    kind: str = "oidc"
    audience: str = "api://kdb"  # asked about with this default; empty: there is none
    audience_is: str = "Audience that access tokens for kdb+ have"
    scope: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    typ: Key | None = None  # where verify is jwt
    keys: tuple[Key, ...] = ()  # others that its tokens need
    steps: tuple[str, ...] = ()  # at the issuer
    role_step: str = ""  # where there are roles
    introspection_step: str = ""
    device_step: str = ""  # what signing in by a code needs
    asks_audience: bool = False  # by a parameter, when a user signs in
    offline_ends_sign_on: bool = False  # the scope offline_access: the browser is asked again
    name_claim: str = ""  # of its id_tokens, for what its access tokens call sub


ENTRA = Vendor(
    title="Microsoft Entra ID",
    word="entra",
    kind="entra",
    audience="",
    audience_is="Application (client) ID of the API that stands for kdb+",
    scope="session.login",
    roles={"kdb.read": "reader"},
    steps=(
        "The API {audience}: Expose an API, accept the Application ID URI "
        "api://{audience}, and add the scope {scope} (admins and users may consent).",
        "The API's Manifest: set requestedAccessTokenVersion (under api) to 2. Else its "
        "tokens are of version 1, and refused as wrongaudience or malformed.",
        "The program {program}: Authentication, the platform Mobile and desktop "
        "applications with the redirect URI http://localhost. API permissions: the API's "
        "{scope}; grant admin consent.",
        "The program asks for the scopes {full_scope} offline_access openid profile.",
    ),
    role_step="The API's App roles: create {roles}, for users and groups, and assign it "
    "under Enterprise applications. Who has no role is refused.",
    device_step="The program's Authentication: Allow public client flows, Yes.",
)
KEYCLOAK = Vendor(
    title="Keycloak",
    word="keycloak",
    roles={"kdb-read": "reader"},
    typ=Key(
        "typ",
        ("at+jwt", "JWT"),
        'Keycloak says JWT, unless the client has the switch Use "at+jwt" as access token '
        'header type; then ["at+jwt"] alone is stricter.',
    ),
    keys=(Key("roles_claim", ("/realm_access/roles",), "Keycloak puts realm roles there."),),
    steps=(
        "Client scopes: create kdb (type None) with a mapper Audience: Included Custom "
        "Audience {audience}, Add to access token on.",
        "Clients: create {program}, Client authentication off, Standard flow on, Require PKCE "
        "on with PKCE Method S256, Valid redirect URIs http://localhost/* and "
        "http://127.0.0.1/*. Add the client scope kdb to it as Default.",
        "Leave lightweight access tokens off, so that the name and the roles are in them.",
    ),
    role_step="Realm roles: create {roles}, and assign it to users or groups. Who has no "
    "role is refused.",
    introspection_step="The client scope kdb needs one mapper Audience more: Included Client "
    "Audience {client_id}. Keycloak calls a token inactive to who is not in its aud.",
    device_step="The client {program}: Capability config, OAuth 2.0 Device Authorization Grant on.",
    offline_ends_sign_on=True,
)
OKTA = Vendor(
    title="Okta",
    word="okta",
    scope="session.login",
    roles={"kdb-read": "reader"},
    typ=Key("typ", ("",), "Okta's tokens have none: their header is alg and kid alone."),
    keys=(
        Key("user_claim", "sub", "Okta's sub is the user's name."),
        Key("subject_claim", "uid", "And uid the account, which stays when a name changes."),
        Key("roles_claim", ("groups",), "The claim that you add to the access token."),
    ),
    steps=(
        "Security, API, the authorization server of this issuer: its Audience must be "
        "{audience}. Scopes: add {scope}.",
        "Applications, the program {program}: a Native Application, with the grants "
        "Authorization Code and Refresh Token, and the redirect URI "
        "http://localhost/callback.",
        "The authorization server's Access Policies: one for that program, whose rule "
        "allows those grants and the scopes {scope} and offline_access.",
        "The program asks for the scopes {scope} offline_access.",
    ),
    role_step="The authorization server's Claims: add groups to the access token, value "
    "type Groups, with a filter that lets {roles} through. Who has no role is refused.",
    device_step="The program {program}, and the rule of its access policy: allow the grant "
    "Device Authorization.",
    name_claim="preferred_username",  # the sub of its id_tokens is the account
)
AUTH0 = Vendor(
    title="Auth0",
    word="auth0",
    roles={"kdb:read": "reader"},
    typ=Key("typ", ("at+jwt", "JWT"), "By the API's token profile: Auth0's own, or RFC 9068."),
    keys=(
        Key(
            "user_claim",
            "https://kdb.example.com/name",
            "Auth0's access tokens have no name: an Action puts it there.",
        ),
        Key("roles_claim", ("permissions",), "Where Auth0 puts an API's permissions."),
    ),
    steps=(
        "Applications, APIs: create one with the Identifier {audience}, with Allow Offline "
        "Access on.",
        "Actions, Triggers, post-login: an Action that runs, where event.user.email_verified, "
        "api.accessToken.setCustomClaim('https://kdb.example.com/name', event.user.email). "
        "Any name of that form will do, if user_claim says it.",
        "Applications: {program} is a Native application with the grants Authorization Code "
        "and Refresh Token.",
        "The program asks with the parameter audience={audience}; without it Auth0's access "
        "tokens are for nobody else's checks.",
    ),
    role_step="The API's RBAC Settings: Enable RBAC, Add Permissions in the Access Token. "
    "Permissions: add {roles}, and give it to users. Who has none is refused.",
    device_step="The application {program}: Advanced Settings, Grant Types, Device Code.",
    asks_audience=True,
)
OTHER = Vendor(
    title="an OpenID Connect issuer",
    word="corp",
    steps=(
        "If it is AD FS, Google, Cognito, Ping, Zitadel, authentik, Dex, Duende, Hydra, WSO2, "
        f"GitLab, Salesforce or XSUAA: its table is in {shared_files.ISSUERS}.",
        "Access tokens for kdb+ must be JWT of type at+jwt (RFC 9068) with the audience "
        "{audience} and the claim preferred_username. `sessionctl test` shows what one has. "
        'Where it is refused as wrongtype and its typ is JWT: typ = ["JWT"], together with '
        "a required_scope, which id_tokens do not have.",
        "The program {program} is a public client with PKCE, the grants authorization_code "
        "and refresh_token, and a redirect URI on http://localhost or http://127.0.0.1.",
    ),
    introspection_step="The client {client_id} is a confidential one that may introspect the "
    "program's tokens; RFC 7662's username must be the name that users type.",
    device_step="The program {program} may use the device authorization grant (RFC 8628).",
)


def scope_of_api(api: str, scope: str) -> str:
    """Return a scope as Entra wants it asked for: with the API before it."""
    return f"{api if '://' in api else f'api://{api}'}/{scope}"


def vendor_of(issuer: str) -> Vendor:
    """Return whose issuer that is, by its URL alone."""
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        return OTHER
    if host in MICROSOFT_HOSTS or host == "sts.windows.net":
        return ENTRA
    if "/realms/" in parts.path:
        return KEYCLOAK
    if host.endswith((".okta.com", ".oktapreview.com", ".okta-emea.com")):
        return OKTA
    return AUTH0 if host.endswith(".auth0.com") else OTHER
