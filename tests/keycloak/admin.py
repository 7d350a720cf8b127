"""Keycloak's admin API: a realm of a test's own, and what its administrator does there."""

import time
from typing import Any

import httpx

from tests.keycloak.server import ADMIN, KeycloakError, RunningKeycloak

TOKEN_LASTS = 30.0  # seconds; half of what Keycloak gives
Json = dict[str, Any]


class Admin:
    """The administrator of all realms."""

    def __init__(self, server: RunningKeycloak) -> None:
        self.server = server
        self._http = server.client()
        self._signed_in = -TOKEN_LASTS

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Return what the admin API answers to a request below /admin/realms.

        Raises:
            KeycloakError: It refused.
        """
        if time.monotonic() - self._signed_in > TOKEN_LASTS:
            self._sign_in()
        answer = self._http.request(method, f"/admin/realms{path}", params=query, json=body)
        if not answer.is_success:
            raise KeycloakError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def _sign_in(self) -> None:
        name, password = ADMIN
        form = {"client_id": "admin-cli", "grant_type": "password"}
        answer = self._http.post(
            "/realms/master/protocol/openid-connect/token",
            data=form | {"username": name, "password": password},
        ).raise_for_status()
        self._http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        self._signed_in = time.monotonic()


class Realm:
    """One realm and its administrator."""

    def __init__(self, admin: Admin, name: str) -> None:
        """Make it, as the administrator of the server would."""
        self._admin = admin
        self.name = name
        self.ca_file = admin.server.ca_file
        self.issuer = f"{admin.server.origin}/realms/{name}"
        admin.call("POST", "", {"realm": name, "enabled": True})

    def call(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Return what the admin API answers to a request below the realm's path."""
        return self._admin.call(method, f"/{self.name}{path}", body, **query)

    def browser(self) -> httpx.Client:
        """Return a client without cookies, for a user or a program of this realm."""
        return self._admin.server.client()

    def set(self, **settings: object) -> None:
        """Change settings of the realm, by the admin API's names."""
        self.call("PUT", "", settings)

    def id_of(self, kind: str, name: str) -> str:
        """Return the id of a client, a client scope or a user."""
        match kind:
            case "clients":
                query, key = {"clientId": name}, "clientId"
            case "users":
                query, key = {"username": name, "exact": "true"}, "username"
            case _:
                query, key = {}, "name"
        (found,) = (
            each["id"] for each in self.call("GET", f"/{kind}", **query) if each[key] == name
        )
        return str(found)

    def change(self, kind: str, name: str, **changes: object) -> None:
        """Change a client or a user; attributes are added to those that are there."""
        path = f"/{kind}/{self.id_of(kind, name)}"
        seen: Json = self.call("GET", path)
        if "attributes" in changes:
            changes["attributes"] = seen.get("attributes", {}) | changes["attributes"]
        self.call("PUT", path, seen | changes)

    def add_program(
        self, name: str, *, at_jwt: bool = True, light: bool = False, **settings: object
    ) -> None:
        """Make a client that is not the guide's: public, and for the loopback."""
        attributes = {
            "access.token.header.type.rfc9068": str(at_jwt).lower(),
            "client.use.lightweight.access.token.enabled": str(light).lower(),
        }
        usual: Json = {"publicClient": True, "redirectUris": ["http://127.0.0.1/*"]}
        self.call(
            "POST", "/clients", {"clientId": name, "attributes": attributes} | usual | settings
        )

    def add_user(self, name: str, *roles: str) -> None:
        """Make a user who can sign in at once, with `pw-` and his name."""
        self.call(
            "POST",
            "/users",
            {
                "username": name,
                "enabled": True,
                "email": f"{name}@example.com",
                "emailVerified": True,
                "firstName": name.title(),
                "lastName": "Example",
                "credentials": [{"type": "password", "value": f"pw-{name}", "temporary": False}],
            },
        )
        for role in roles:
            self.give_role(name, role)

    def give_role(self, user: str, role: str) -> None:
        self.call("POST", self._roles_of(user), [self.role(role)])

    def role(self, name: str) -> Json:
        found: Json = self.call("GET", f"/roles/{name}")
        return found

    def take_role(self, user: str, role: str) -> None:
        self.call("DELETE", self._roles_of(user), [self.role(role)])

    def sign_out(self, user: str) -> None:
        """Do what the button of the user's sessions does."""
        self.call("POST", f"/users/{self.id_of('users', user)}/logout")

    def _roles_of(self, user: str) -> str:
        return f"/users/{self.id_of('users', user)}/role-mappings/realm"

    def add_key(self, *, priority: int) -> str:
        """Make a key that signs RS256, and return the id of its provider."""
        before = {each["id"] for each in self._key_providers()}
        self.call(
            "POST",
            "/components",
            {
                "name": f"rsa-{priority}",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "config": {"priority": [str(priority)], "algorithm": ["RS256"]},
            },
        )
        (added,) = {each["id"] for each in self._key_providers()} - before
        return added

    def remove_key(self, name: str) -> None:
        """Remove a key provider by its name."""
        (found,) = (each["id"] for each in self._key_providers() if each["name"] == name)
        self.call("DELETE", f"/components/{found}")

    def _key_providers(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.call(
            "GET", "/components", type="org.keycloak.keys.KeyProvider"
        )
        return found
