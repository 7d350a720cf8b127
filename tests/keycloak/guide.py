"""The guide's Keycloak section: its steps done by the admin API, its tables for a daemon.

A function a step, by the guide's numbers; what is in quotation marks is the guide's word for it.
"""

import re
from pathlib import Path

from tests.keycloak.admin import Realm

PAGE = Path(__file__).parents[2] / "docs/issuers.md"

AUDIENCE, ROLE, PROGRAM, SCOPE, DAEMON = "api://kdb", "kdb-read", "qstudio", "kdb", "sessiond"
WEB, WEB_PUBLIC = "kdb-web", "kdb-web-public"


def set_up(realm: Realm) -> None:
    """Do steps 1 to 5, which everybody does."""
    for step in (step_1, step_2, step_3, step_4, step_5):
        step(realm)


def step_1(realm: Realm) -> None:
    """A client scope that puts our audience into access tokens."""
    realm.call("POST", "/client-scopes", {"name": SCOPE, "protocol": "openid-connect"})
    add_audience(realm, "kdb-audience", "included.custom.audience", AUDIENCE)


def step_2(realm: Realm) -> None:
    """A role."""
    realm.call("POST", "/roles", {"name": ROLE})


def step_3(realm: Realm) -> None:
    """The program that users sign in with, a public client."""
    realm.call(
        "POST",
        "/clients",
        {
            "clientId": PROGRAM,
            "publicClient": True,  # "Client authentication" off
            "standardFlowEnabled": True,
            "directAccessGrantsEnabled": False,
            "implicitFlowEnabled": False,
            "serviceAccountsEnabled": False,
            "redirectUris": ["http://localhost/*", "http://127.0.0.1/*"],
            "attributes": {"pkce.code.challenge.method": "S256"},  # "Require PKCE"
        },
    )
    client, scope = realm.id_of("clients", PROGRAM), realm.id_of("client-scopes", SCOPE)
    realm.call("PUT", f"/clients/{client}/default-client-scopes/{scope}")


def step_4(realm: Realm) -> None:
    """The type that RFC 9068 gives access tokens."""
    realm.change("clients", PROGRAM, attributes={"access.token.header.type.rfc9068": "true"})


def step_5(realm: Realm) -> None:
    """Lightweight access tokens stay off, which they are."""
    client = realm.call("GET", f"/clients/{realm.id_of('clients', PROGRAM)}")
    assert client["attributes"].get("client.use.lightweight.access.token.enabled") != "true"


def step_6(realm: Realm) -> str:
    """The daemon as a client that may introspect; return its secret."""
    realm.call(
        "POST",
        "/clients",
        {
            "clientId": DAEMON,
            "publicClient": False,
            "standardFlowEnabled": False,
            "directAccessGrantsEnabled": False,
        },
    )
    client = realm.id_of("clients", DAEMON)
    secret: str = realm.call("GET", f"/clients/{client}/client-secret")["value"]
    return secret


def step_7(realm: Realm) -> None:
    """Access tokens are for the daemon too: else it hears that they are not active."""
    add_audience(realm, "kdb-introspection", "included.client.audience", DAEMON)


def add_web_client(realm: Realm, *bases: str, name: str = WEB) -> str:
    """Make the client that browsers sign in with, as docs/web.md has it, for these origins.

    Returns:
        Its secret; empty for `WEB_PUBLIC`, which has none.
    """
    realm.call(
        "POST",
        "/clients",
        {
            "clientId": name,
            "publicClient": name == WEB_PUBLIC,
            "standardFlowEnabled": True,
            "directAccessGrantsEnabled": False,
            "redirectUris": [f"{base}/.sessiond/callback" for base in bases],
            "attributes": {
                "access.token.header.type.rfc9068": "true",
                "pkce.code.challenge.method": "S256",
                "post.logout.redirect.uris": "+",  # the same as the redirect URIs
            },
        },
    )
    client, scope = realm.id_of("clients", name), realm.id_of("client-scopes", SCOPE)
    realm.call("PUT", f"/clients/{client}/default-client-scopes/{scope}")
    if name == WEB_PUBLIC:
        return ""
    secret: str = realm.call("GET", f"/clients/{client}/client-secret")["value"]
    return secret


def add_source_client(realm: Realm, name: str) -> str:
    """Make a client for tokens of data sources, as docs/tokens.md has it; return its secret."""
    realm.call(
        "POST",
        "/clients",
        {
            "clientId": name,
            "publicClient": False,
            "serviceAccountsEnabled": True,  # "Service accounts roles"
            "standardFlowEnabled": False,
            "directAccessGrantsEnabled": False,
        },
    )
    client = realm.id_of("clients", name)
    secret: str = realm.call("GET", f"/clients/{client}/client-secret")["value"]
    return secret


def let_exchange(realm: Realm, name: str, *, target: str) -> None:
    """Let such a client exchange people's tokens for those of another client, as there."""
    realm.change("clients", name, attributes={"standard.token.exchange.enabled": "true"})
    add_audience(realm, "kdb-exchange", "included.client.audience", name)
    realm.call("POST", "/clients", {"clientId": target, "publicClient": False})
    client = realm.id_of("clients", name)
    realm.call(
        "POST",
        f"/clients/{client}/protocol-mappers/models",
        {
            "name": f"{target}-audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {"included.client.audience": target, "access.token.claim": "true"},
        },
    )


def add_audience(realm: Realm, name: str, key: str, audience: str) -> None:
    """Configure a mapper of the type "Audience" in our client scope."""
    realm.call(
        "POST",
        f"/client-scopes/{realm.id_of('client-scopes', SCOPE)}/protocol-mappers/models",
        {
            "name": name,
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            # What the console's form has switched on when it opens.
            "config": {
                key: audience,
                "access.token.claim": "true",
                "introspection.token.claim": "true",
                "id.token.claim": "false",
                "lightweight.claim": "false",
            },
        },
    )


def section() -> str:
    """Return the section's text."""
    (found,) = re.findall(r"^### Keycloak\n(.*?)^##", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return str(found)


def configuration(
    realm: Realm, table: str = "keycloak", *, listen: str = "", refresh: str = "", **keys: str
) -> str:
    """Return the guide's table of that name for this realm, to be given to RunningDaemon.

    Args:
        realm: Whose users log in.
        table: The name that the guide gives it.
        listen: Lines for `[listen]`.
        refresh: Lines for `[refresh]`.
        keys: What the table is to have otherwise, as TOML; empty text leaves a key out.
    """
    blocks = re.findall(r"^```toml\n(.*?)^```$", section(), re.M | re.S)
    (text,) = (each for each in blocks if f'name = "{table}"' in each)
    return placed(text, realm, listen=listen, refresh=refresh, **keys)


def placed(text: str, realm: Realm, *, listen: str = "", refresh: str = "", **keys: str) -> str:
    """Return an issuer's table with this realm in it, and a daemon's own places before it."""
    text = text[text.index("[[issuer]]") :]
    keys = {"issuer": f'"{realm.issuer}"', "ca_file": f'"{realm.ca_file}"'} | keys
    for key, value in keys.items():
        text = re.sub(rf"^{key} = .*\n", "", text, flags=re.M)
        if value:
            text = text.replace("[[issuer]]\n", f"[[issuer]]\n{key} = {value}\n")
    return "\n".join(
        [
            f"[listen]\n{listen}",
            'port = {port}\ndirectory = "{folder}"\ncontrol = "{folder}/c"',
            '[store]\npath = "{folder}/sessiond.db"',
            f"[refresh]\n{refresh}",
            text,
        ]
    )
