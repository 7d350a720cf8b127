"""An issuer that costs little and waits as long as it is told: `-m tests.bench.fast_issuer`.

A real one (tests/issuer) takes a millisecond and more of the machine for each answer. This one
knows the few requests that the daemon and Dovecot make, answers what was signed beforehand, and
lets a wait pass before it does, in which it costs nothing.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.parse
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self, cast

import uvloop

from tests.bench.minting import LIFETIME, REFRESH_BYTES, Minting, claims_of, user_of

END = b"\r\n\r\n"
CALLS = ("/introspect", "/token")  # what is waited for, and counted


class FastIssuer:
    """The issuer in a process of its own on a loopback port, until the block ends."""

    ca_file: Path | None = None

    def __init__(self, folder: Path) -> None:
        """Start it.

        Args:
            folder: Where it finds what it publishes.
        """
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.fast_issuer", folder],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.issuer = self._process.stdout.readline().strip()
        self.minting = Minting(self.issuer)
        (folder / "keys.json").write_text(json.dumps(self.minting.keys))
        (folder / "public.pem").write_bytes(self.minting.pem)
        self.pem = folder / "public.pem"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float) -> None:
        """Have each answer wait so long from now on; the daemon's fetch of keys never does."""
        self._ask("wait", seconds=seconds)

    def prepare(self, answers: dict[str, str]) -> None:
        """Tell which access token each refresh token is worth."""
        (self._folder / "answers.json").write_text(json.dumps(answers))
        self._ask("prepare")

    def calls(self, since: float = 0.0) -> list[tuple[float, float]]:
        """Return when each call came since then and was answered, on the monotonic clock."""
        return [(came, answered) for came, answered in self._ask("calls") if came >= since]

    def _ask(self, name: str, **members: float) -> Any:
        query = urllib.parse.urlencode(members)
        with closing(HTTPConnection(self.issuer.removeprefix("http://"))) as connection:
            connection.request("GET", f"/_{name}?{query}")
            return json.load(connection.getresponse())


class Issuer:
    """What it knows."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self.wait = 0.0  # seconds
        self.calls: list[tuple[float, float]] = []
        self._folder = folder
        self._number = 0
        self._answers: dict[str, str] = {}  # access token by refresh token

    def answer(self, path: str, query: dict[str, str], bearer: str) -> tuple[float, Any]:
        """Return how long to wait, and the answer."""
        match path:
            case "/.well-known/openid-configuration":
                return 0.0, self._metadata()
            case "/keys":
                return 0.0, json.loads((self._folder / "keys.json").read_text())
            case "/introspect":
                return self.wait, self._introspected(query.get("token", bearer))
            case "/token":
                if query["grant_type"] == "client_credentials":
                    return self.wait, self._given()
                return self.wait, self._refreshed(query["refresh_token"])
            case "/_wait":
                self.wait = float(query["seconds"])
            case "/_prepare":
                self._answers = json.loads((self._folder / "answers.json").read_text())
            case "/_calls":
                return 0.0, self.calls
            case _:
                raise ValueError(f"nothing is at {path}")
        return 0.0, {}

    def _metadata(self) -> dict[str, object]:
        ends = {f"{name}_endpoint": f"{self.url}/{name}" for name in ("introspect", "token")}
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "introspection_endpoint": ends["introspect_endpoint"],
            "token_endpoint": ends["token_endpoint"],
        }

    def _introspected(self, token: str) -> dict[str, object]:
        user = user_of(token)
        if not user:
            return {"active": False}
        return {
            "active": True,
            "token_type": "Bearer",
            "exp": int(time.time()) + LIFETIME,
            **claims_of(self.url, user, f"subject of {user}"),
        }

    def _given(self) -> dict[str, object]:
        """Return a token of a program's own: nobody here reads it."""
        self._number += 1
        token = f"of-a-program-{self._number}"
        return {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME}

    def _refreshed(self, refresh_token: str) -> dict[str, object]:
        return {
            "access_token": self._answers[refresh_token],
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "refresh_token": f"next-{refresh_token}"[:REFRESH_BYTES],
        }


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as it is spoken here: one request at a time, a length before each body."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(END)
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if not found or len(body) < length:
            return
        self._received = body[length:]
        path, _, query = lines[0].split(" ")[1].partition("?")
        asked = dict(urllib.parse.parse_qsl(query or body[:length].decode()))
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        wait, answer = self._issuer.answer(path, asked, bearer)
        came = time.monotonic() if path in CALLS else 0.0
        if wait:
            asyncio.get_running_loop().call_later(wait, self._send, json.dumps(answer), came)
        else:
            self._send(json.dumps(answer), came)

    def _send(self, answer: str, came: float) -> None:
        if came:
            self._issuer.calls.append((came, time.monotonic()))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}"
        self._transport.write(f"{head}\r\n\r\n{answer}".encode())


async def serve(folder: Path) -> None:
    """Serve until killed; print where."""
    issuer = Issuer(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(issuer), "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(issuer.url, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
