"""An issuer in this process, good unless a test bends it."""

import json
import ssl
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey
from sessiond_login.profile import Profile
from walking import Hasty

from tests import canary

KEY = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "two"}, private=True)
ACCESS = "SyVoTgYEBbvBDZ2yXjzDgD0pCJrbT0iW"
REFRESH = "hVQ1VwuxCYRF6tPEWGUcjIVMkYzBnqcM"
CODE = "SplxlOBeZQQYbYS6WxSbIAm4HhT7QzLp"
for name, value in (("access", ACCESS), ("refresh", REFRESH), ("code", CODE)):
    canary.remember(value, name)

Answer = tuple[int, dict[str, str], bytes]
ABSENT = object()  # takes a member away


def as_json(members: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(members).encode()


def bent(usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (usual | changes).items() if value is not ABSENT}


def unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    def part(members: dict[str, Any]) -> str:
        return urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}."


class BentIssuer:
    """Answers as an issuer does, at 127.0.0.1, with what a test has changed.

    metadata, id_claims, tokens, comes_back: Members put in the place of the usual ones of the
        metadata, the ID token, the token endpoint's answer, and the redirect.
    answers: By path, what is answered instead; a function gets the handler, and may write by
        itself and return None.
    """

    def __init__(self, *, name: str = "", tls: ssl.SSLContext | None = None) -> None:
        """Make it; by name and over TLS where something else leads to its port."""
        self.metadata: dict[str, Any] = {}
        self.id_claims: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.comes_back: dict[str, Any] = {}
        self.keys: list[RSAKey] = [KEY]
        self.sign: Callable[[dict[str, Any]], str] = signed_by(KEY)
        self.answers: dict[str, Answer | Callable[[BaseHTTPRequestHandler], Answer | None]] = {}
        self.asked: list[str] = []  # paths, in order
        self.forms: list[dict[str, str]] = []  # what was posted, in order
        self.time = 1_800_000_000.0
        self._request: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.origin = f"https://{name}" if name else f"http://127.0.0.1:{self.port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def profile(self, **keys: Any) -> Profile:
        usual: dict[str, Any] = {"issuer": self.origin, "client_id": "me", "insecure_http": True}
        return Profile(**(usual | keys))

    def _usual(self, path: str, query: dict[str, str]) -> Answer:
        match path:
            case "/.well-known/openid-configuration":
                return as_json(bent(self._metadata(), self.metadata))
            case "/keys":
                return as_json({"keys": [key.as_dict(private=False) for key in self.keys]})
            case "/authorize":
                self._request = query
                usual = {"code": CODE, "state": query["state"], "iss": self.origin}
                where = f"{query['redirect_uri']}?{urlencode(bent(usual, self.comes_back))}"
                return 302, {"Location": where}, b""
            case "/token":
                return as_json(bent(self._tokens(), self.tokens))
            case _:
                return as_json({}, 404)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "jwks_uri": f"{self.origin}/keys",
            "device_authorization_endpoint": f"{self.origin}/device",
            "authorization_response_iss_parameter_supported": True,
        }

    def _tokens(self) -> dict[str, Any]:
        claims = {
            "iss": self.origin,
            "aud": "me",
            "sub": "1",
            "preferred_username": "alice",
            "iat": int(self.time),
            "exp": int(self.time) + 300,
            "auth_time": int(self.time),
            "nonce": self._request.get("nonce"),
        }
        return {
            "access_token": ACCESS,
            "refresh_token": REFRESH,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.sign(bent(claims, self.id_claims)),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("content-length", 0))
                form = dict(parse_qsl(self.rfile.read(length).decode()))
                issuer.asked.append(parts.path)
                if form:
                    issuer.forms.append(form)
                answer = issuer.answers.get(parts.path)
                if answer is None:
                    answer = issuer._usual(parts.path, dict(parse_qsl(parts.query)))
                elif callable(answer):
                    answer = answer(self)
                if answer is None:
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Steered(Hasty):
    """A clock that is at the issuer's time, and as far off as a test says."""

    def __init__(self, issuer: BentIssuer, off: float = 0.0) -> None:
        super().__init__()
        self._issuer = issuer
        self._off = off

    def now(self) -> float:
        return self._issuer.time + self._off


def signed_by(key: Any, **header: Any) -> Callable[[dict[str, Any]], str]:
    """Return what signs claims; `header` is put in the place of the usual one."""
    protected = {"alg": "RS256", "kid": key.kid or "one", "typ": "JWT", **header}

    def sign(claims: dict[str, Any]) -> str:
        return jws.serialize_compact(
            protected, json.dumps(claims), key, algorithms=[protected["alg"]]
        )

    return sign
