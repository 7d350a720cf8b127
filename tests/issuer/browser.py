"""A browser login without a browser: authorization code with PKCE (RFC 6749 4.1, RFC 7636)."""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

REDIRECT = "http://127.0.0.1:5555/cb"  # never called: the walk ends there


class LoginError(Exception):
    """A page was not what a login shows; the message has its status and text."""


def login_by_code(
    http: httpx.Client,
    *,
    authorize: str,
    token: str,
    user: str,
    password: str,
    client: str,
    scope: str,
    resource: str | None,
) -> dict[str, Any]:
    """Return the token endpoint's answer after a login with forms, consent and redirects.

    Args:
        http: A client with a fresh cookie jar that follows no redirects.

    Raises:
        LoginError: A step was refused.
    """
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(8)
    target = {} if resource is None else {"resource": resource}
    request = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": scope,
        "state": state,
        "prompt": "consent",
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
    }
    page = http.get(authorize, params=request | target)
    answer = walk(http, page, {"login": user, "password": password})
    if answer.get("state") != state or "code" not in answer:
        raise LoginError(f"the redirect brought {sorted(answer)}")
    redeem = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": REDIRECT,
        "code_verifier": verifier,
        "client_id": client,
    }
    response = http.post(token, data=redeem | target)
    if response.status_code != 200:
        raise LoginError(f"the code was refused: {response.status_code} {response.text}")
    answered: dict[str, Any] = response.json()
    return answered


def challenge(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def walk(http: httpx.Client, page: httpx.Response, form: dict[str, str]) -> dict[str, str]:
    """Return the query of the redirect that leaves the issuer, filling in the forms on the way."""
    origin = page.url.netloc
    for _ in range(20):
        if page.is_redirect:
            target = urljoin(str(page.url), page.headers["location"])
            if urlsplit(target).netloc.encode() != origin:
                return dict(parse_qsl(urlsplit(target).query))
            page = http.get(target)
            continue
        prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
        action = re.search(r'action="([^"]+)"', page.text)
        if prompt is None or action is None:
            raise LoginError(f"no form on the page: {page.status_code} {page.text[:300]}")
        where = urljoin(str(page.url), action[1])
        page = http.post(where, data={"prompt": prompt[1], **form})
    raise LoginError("the redirects lead nowhere")


def enter_device_code(
    http: httpx.Client, url: str, *, user: str, password: str, agrees: bool = True
) -> None:
    """Do what a user does with a device code (RFC 8628, 3.3): confirm, sign in, consent.

    Args:
        http: A client with a fresh cookie jar that follows no redirects.
        url: The one with the code in it.
        user: Who signs in.
        password: His.
        agrees: Whether he confirms that he wants this device signed in.

    Raises:
        LoginError: A step was refused.
    """
    page = http.get(url)
    for _ in range(20):
        if page.is_redirect:
            page = http.get(urljoin(str(page.url), page.headers["location"]))
            continue
        action = re.search(r'action="([^"]+)"', page.text)
        if action is None:
            if page.status_code != 200:
                raise LoginError(f"the code was refused: {page.status_code} {page.text[:300]}")
            return
        form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        form |= {"confirm" if agrees else "abort": "yes"} if "user_code" in form else {}
        form |= {"login": user, "password": password} if "prompt" in form else {}
        page = http.post(urljoin(str(page.url), action[1]), data=form)
        if "abort" in form:
            return
    raise LoginError("the pages lead nowhere")
