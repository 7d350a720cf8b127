"""The program that users sign in with, and others of the realm: what they get at its endpoints."""

import html
import re
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from tests import canary
from tests.issuer.browser import challenge
from tests.keycloak.admin import Realm
from tests.keycloak.guide import PROGRAM
from tests.keycloak.server import KeycloakError

REDIRECT = "http://127.0.0.1:5555/cb"  # never called: the walk ends there
Answer = dict[str, Any]


def endpoint(realm: Realm, name: str) -> str:
    return f"{realm.issuer}/protocol/openid-connect/{name}"


def sign_in(
    realm: Realm,
    user: str = "alice",
    *,
    client: str = PROGRAM,
    scope: str = "openid",
    nonce: str = "",
    bound: bool = False,
) -> Answer:
    """Return the tokens of a user who signs in by Keycloak's form, with code and PKCE.

    Args:
        client: A public one.
        nonce: For the id_token to have (OpenID Connect Core, 3.1.2.1).
        bound: With a DPoP proof (RFC 9449), so that the tokens are good for its key alone.
    """
    verifier = secrets.token_urlsafe(48)
    request = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": scope,
        "nonce": nonce,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
    }
    with realm.browser() as browser:
        page = browser.get(endpoint(realm, "auth"), params=request)
        action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
        if action is None:
            raise KeycloakError(f"no form: {page.status_code} {page.text[:300]}")
        form = {"username": user, "password": f"pw-{user}"}
        left = browser.post(html.unescape(action[1]), data=form)
        query = dict(parse_qsl(urlsplit(left.headers.get("location", "")).query))
        if "code" not in query:
            raise KeycloakError(f"no code: {left.status_code} {sorted(query)}")
        redeem = {
            "grant_type": "authorization_code",
            "client_id": client,
            "code": query["code"],
            "redirect_uri": REDIRECT,
            "code_verifier": verifier,
        }
        where = endpoint(realm, "token")
        headers = {"DPoP": proof(where)} if bound else {}
        return answered(browser.post(where, data=redeem, headers=headers))


def service_token(realm: Realm, client: str, secret: str, scope: str = "openid") -> Answer:
    """Return what a client gets for itself (RFC 6749, 4.4)."""
    form = {"grant_type": "client_credentials", "scope": scope}
    with realm.browser() as http:
        return answered(http.post(endpoint(realm, "token"), data=form, auth=(client, secret)))


def proof(where: str) -> str:
    """Return a DPoP proof for one POST, by a key made for it (RFC 9449, 4.2)."""
    key = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    claims = {
        "jti": secrets.token_urlsafe(16),
        "htm": "POST",
        "htu": where,
        "iat": int(time.time()),
    }
    return jwt.encode(header, claims, key)


def answered(response: httpx.Response) -> Answer:
    """Return a token answer, whose tokens the canary knows from now on."""
    if response.status_code != 200:
        raise KeycloakError(f"no tokens: {response.status_code} {response.text}")
    answer: Answer = response.json()
    for name in ("access_token", "refresh_token", "id_token"):
        if name in answer:
            canary.remember(answer[name], name)
    return answer


def refreshed(realm: Realm, refresh_token: str) -> httpx.Response:
    """Return what the program hears where it refreshes by itself."""
    form = {"grant_type": "refresh_token", "client_id": PROGRAM, "refresh_token": refresh_token}
    with realm.browser() as http:
        return http.post(endpoint(realm, "token"), data=form)


def refreshes(realm: Realm, user: str) -> int:
    """Return how many refreshes Keycloak has granted a user; its realm keeps events."""
    return len(realm.call("GET", "/events", type="REFRESH_TOKEN", user=realm.id_of("users", user)))
