"""A development issuer on loopback: `python -m sessiond.demo.issuer`.

Discovery, keys, and a token endpoint with the password grant (RFC 6749, 4.3: it stands for the
browser in which a user really signs in) and the refresh grant, whose tokens rotate: each is good
once, and a second use ends all that came from the same sign-in (RFC 9700, 4.14.2).

It takes commands as lines on standard input ({"do": "disable", "user": "alice"}) and tells what
happened as lines on standard output, the first of which is `ready` with its URL.
"""

import argparse
import json
import secrets
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from sessiond.demo.lines import Commands, report

CLIENT = "qstudio"  # the public client that users sign in with
API = "api://kdb"  # the audience of its access tokens, unless another is asked for
SCOPE = "session.login kdb.read"
REFRESH_MARK = "demo-refresh-"  # what every refresh token begins with
PASSWORDS = {"alice": "wonderland", "bob": "builder"}
MAX_FORM = 65536  # bytes
METADATA = "/.well-known/openid-configuration"

_SUBJECTS = {name: str(uuid4()) for name in PASSWORDS}


class OAuthError(Exception):
    """Answer 400 with this error code (RFC 6749, 5.2)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _SignIn:
    """What came of one sign-in: a chain of refresh tokens, of which the last is good."""

    user: str
    audience: str
    current: str
    is_over: bool = False


class Issuer:
    """The issuer's keys, users and refresh tokens. Its calls come from many threads."""

    def __init__(self, url: str, *, life: int) -> None:
        """Begin with a new key.

        Args:
            url: What it calls itself, as `iss`.
            life: Seconds that an access token is good.
        """
        self.url = url
        self._life = life
        self._key = RSAKey.generate_key(2048, {"kid": "demo-1", "use": "sig", "alg": "RS256"})
        self._sign_ins: dict[str, _SignIn] = {}  # by every refresh token there ever was
        self._disabled: set[str] = set()
        self._lock = threading.Lock()

    def metadata(self) -> dict[str, Any]:
        """Return what OpenID Connect Discovery 1.0, section 3, asks for."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint": f"{self.url}/token",
        }

    def keys(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517, 5)."""
        return dict(KeySet([self._key]).as_dict(private=False))

    def disable(self, user: str) -> None:
        """Let a user neither sign in nor refresh from now on."""
        with self._lock:
            self._disabled.add(user)

    def answer(self, form: dict[str, str]) -> dict[str, Any]:
        """Return the token endpoint's answer (RFC 6749, 5.1).

        Raises:
            OAuthError: The request is refused.
        """
        if form.get("client_id") != CLIENT:
            raise OAuthError("invalid_client")
        with self._lock:
            match form.get("grant_type"):
                case "password":
                    return self._tokens(self._sign_in(form))
                case "refresh_token":
                    return self._tokens(self._refreshed(form.get("refresh_token", "")))
                case _:
                    raise OAuthError("unsupported_grant_type")

    def user_of(self, refresh_token: str) -> str:
        """Return whose refresh token this is, or nothing."""
        sign_in = self._sign_ins.get(refresh_token)
        return "" if sign_in is None else sign_in.user

    def _sign_in(self, form: dict[str, str]) -> _SignIn:
        user = form.get("username", "")
        if PASSWORDS.get(user) != form.get("password") or user in self._disabled:
            raise OAuthError("invalid_grant")
        return _SignIn(user=user, audience=form.get("resource", API), current="")

    def _refreshed(self, refresh_token: str) -> _SignIn:
        sign_in = self._sign_ins.get(refresh_token)
        if sign_in is None or sign_in.is_over or sign_in.user in self._disabled:
            raise OAuthError("invalid_grant")
        if sign_in.current != refresh_token:
            sign_in.is_over = True  # somebody else holds a copy
            raise OAuthError("invalid_grant")
        return sign_in

    def _tokens(self, sign_in: _SignIn) -> dict[str, Any]:
        sign_in.current = REFRESH_MARK + secrets.token_urlsafe(32)
        self._sign_ins[sign_in.current] = sign_in
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": _SUBJECTS[sign_in.user],
            "aud": sign_in.audience,
            "client_id": CLIENT,
            "iat": now,
            "exp": now + self._life,
            "jti": str(uuid4()),
            "scope": SCOPE,
            "preferred_username": sign_in.user,
        }
        header = {"alg": "RS256", "typ": "at+jwt", "kid": self._key.kid}
        return {
            "token_type": "Bearer",
            "access_token": jwt.encode(header, claims, self._key),
            "expires_in": self._life,
            "refresh_token": sign_in.current,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    issuer: Issuer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out whole: in two parts it would wait for an ACK, 40 ms
    server: _Server

    def do_GET(self) -> None:
        pages = {METADATA: self.server.issuer.metadata, "/keys": self.server.issuer.keys}
        page = pages.get(self.path)
        self._send(404, {}) if page is None else self._send(200, page())

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if self.path != "/token" or not 0 <= size <= MAX_FORM:
            self.close_connection = True  # its body is not read
            self._send(400, {"error": "invalid_request"})
            return
        form = {
            name: values[0] for name, values in parse_qs(self.rfile.read(size).decode()).items()
        }
        kind = form.get("grant_type", "")
        user = form.get("username") or self.server.issuer.user_of(form.get("refresh_token", ""))
        try:
            answer = self.server.issuer.answer(form)
        except OAuthError as error:
            report("denied", grant=kind, user=user, error=error.code)
            self._send(400, {"error": error.code})
        else:
            report("granted", grant=kind, user=user)
            self._send(200, answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: what matters is reported."""

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")  # RFC 6749, 5.1
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def served(*, life: int) -> _Server:
    """Return an issuer's server on a free port of loopback; the caller runs and closes it."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.issuer = Issuer(f"http://127.0.0.1:{server.server_port}", life=life)
    return server


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--life", type=int, required=True, help="seconds of an access token")
    with served(life=parser.parse_args().life) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        report("ready", issuer=server.issuer.url)
        commands = Commands(sys.stdin.fileno())
        while (told := commands.read()) is not None:
            for command in told:
                server.issuer.disable(command["user"])
                report("disabled", user=command["user"])
        server.shutdown()


if __name__ == "__main__":
    main()
