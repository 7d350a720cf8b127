"""Tokens for those who are not to get in with them: no person needs to be asked for these."""

import base64
import json
from dataclasses import dataclass

import httpx

from sessiond.core.secret import Secret
from sessiond.demo.issuer import CLIENT, PASSWORDS

TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gives."""

    access: Secret
    refresh: Secret


def sign_in(issuer: str, user: str, *, resource: str | None = None) -> Tokens:
    """Return what the issuer gives for a name and a password (RFC 6749, 4.3).

    Args:
        issuer: Its URL.
        user: Who signs in.
        resource: What the token is for (RFC 8707); None: for kdb+.

    Raises:
        httpx.HTTPError: It gives nothing.
    """
    form = {
        "grant_type": "password",
        "client_id": CLIENT,
        "username": user,
        "password": PASSWORDS[user],
    }
    target = {} if resource is None else {"resource": resource}
    with httpx.Client(trust_env=False, timeout=TIMEOUT) as http:
        answer = http.post(f"{issuer}/token", data={**form, **target}).raise_for_status().json()
    return Tokens(access=Secret(answer["access_token"]), refresh=Secret(answer["refresh_token"]))


def renamed(access: Secret, user: str) -> Secret:
    """Return a token with another name written into it; its signature cannot fit any more."""
    header, payload, signature = access.reveal().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    changed = json.dumps({**claims, "preferred_username": user}).encode()
    written = base64.urlsafe_b64encode(changed).decode().rstrip("=")
    return Secret(f"{header}.{written}.{signature}")
