"""An issuer that answers at once, or after just so long: what a call costs is then ours.

The test issuer is a real one, and takes milliseconds of its own for each answer. This one answers
in some 50 microseconds: it believes every token that says whose it is. So nothing is signed in
beforehand: an opaque access token is `NAME~` and anything after it, a refresh token too.

    python -m tests.issuer.instant [--delay SECONDS] [--life SECONDS] [--refresh-size BYTES]

It prints its URL, and ends when its standard input does.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs

import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey

AUDIENCE = "api://kdb"
_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Manners:
    """How it answers."""

    delay: float  # seconds; metadata and keys come at once
    life: float  # seconds of an access token
    refresh_size: int  # bytes of a refresh token, about


class Issuer:
    """What it says. It remembers nothing but how often it was asked, and the most at a time."""

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.url = ""
        self.now = self.most = 0
        self.calls = dict.fromkeys(("/introspect", "/userinfo", "/token"), 0)
        self._key = ECKey.generate_key("P-256", {"kid": "instant"})

    def answer(self, path: str, bearer: str, form: dict[str, str]) -> dict[str, object]:
        match path:
            case "/introspect":
                return {"active": True, "token_type": "Bearer", **self._claims(form["token"])}
            case "/userinfo":
                return self._claims(bearer)
            case "/token":
                return self._tokens(form.get("refresh_token") or form["username"])
            case "/keys":
                return {"keys": [self._key.as_dict(private=False)]}
            case "/calls":
                return {**self.calls, "most": self.most}
            case _:
                return self._metadata()

    def _claims(self, token: str) -> dict[str, object]:
        user, now = token.partition("~")[0], int(time.time())
        times = {"iat": now, "exp": now + int(self.manners.life)}
        return {
            "iss": self.url, "sub": user, "aud": AUDIENCE, "preferred_username": user, **times
        }  # fmt: skip

    def _tokens(self, was: str) -> dict[str, object]:
        """Return new tokens for a refresh token, or for a username."""
        user, _, number = was.partition("~")
        turn = int(number.partition("~")[0] or 0) + 1
        access = jwt.encode(
            {"alg": "ES256", "typ": "at+jwt", "kid": "instant"}, self._claims(user), self._key
        )
        return {
            "access_token": access,
            "refresh_token": f"{user}~{turn}~".ljust(self.manners.refresh_size, "x"),
            "token_type": "Bearer",
            "expires_in": int(self.manners.life),
        }

    def _metadata(self) -> dict[str, object]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "introspection_endpoint": f"{self.url}/introspect",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "token_endpoint": f"{self.url}/token",
        }


class _Connection(asyncio.Protocol):
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(_END)
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        if not end or len(body) < int(fields.get(b"content-length", 0)):
            return
        self._read = b""
        path = head.split(b" ", 2)[1].decode()
        form = {name: value for name, (value,) in parse_qs(body.decode()).items()}
        bearer = head.lower().find(b"\r\nauthorization: bearer ")
        token = head[bearer + 24 :].split(b"\r\n")[0].decode() if bearer >= 0 else ""
        if path not in self._issuer.calls:
            self._send(path, token, form)
            return
        self._issuer.calls[path] += 1
        self._issuer.now += 1
        self._issuer.most = max(self._issuer.most, self._issuer.now)
        if self._issuer.manners.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self._issuer.manners.delay, self._finish, path, token, form)
        else:
            self._finish(path, token, form)

    def _finish(self, path: str, token: str, form: dict[str, str]) -> None:
        self._issuer.now -= 1
        self._send(path, token, form)

    def _send(self, path: str, token: str, form: dict[str, str]) -> None:
        body = json.dumps(self._issuer.answer(path, token, form)).encode()
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        head = (
            f"HTTP/1.1 200 OK\r\nDate: {date}\r\nServer: instant\r\n"
            "Cache-Control: no-store\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class RunningInstant:
    """One that runs in a process of its own."""

    url: str
    pid: int


@contextmanager
def running(
    *, delay: float = 0.0, life: float = 3600.0, refresh_size: int = 1200
) -> Iterator[RunningInstant]:
    """Run one while the block does."""
    words = ["--delay", str(delay), "--life", str(life), "--refresh-size", str(refresh_size)]
    command = [sys.executable, "-m", "tests.issuer.instant", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield RunningInstant(process.stdout.readline().decode().strip(), process.pid)
        finally:
            process.stdin.close()


async def _serve(manners: Manners) -> None:
    issuer, loop = Issuer(manners), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(issuer), "127.0.0.1", 0, backlog=512)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(issuer.url, flush=True)
    over = asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait, daemon=True).start()
    await over.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--life", type=float, default=3600.0)
    parser.add_argument("--refresh-size", type=int, default=1200)
    words = parser.parse_args()
    uvloop.run(_serve(Manners(words.delay, words.life, words.refresh_size)))


if __name__ == "__main__":
    main()
