"""A program that shares its token with others: `python -m sessiond.demo.sharer`.

It keeps the token in a token store of sessiond's, by the one rule for that: read; where there is
none, take the lock, read again, only then sign in, write, release. It begins at a line on standard
input and tells on standard output where its token is from.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

import httpx

from sessiond.core.secret import Secret
from sessiond.demo.lines import Commands, report

CONTEXT, NAME = "risk", "oauth"
WAIT = 10_000  # milliseconds without anybody's progress
TIMEOUT = 20.0  # seconds
SHOWN = 8  # hexadecimal digits of a digest: enough to see that two have the same


class Sharer:
    """One program's view of its token store."""

    def __init__(
        self, store: httpx.Client, issuer: httpx.Client, secret: Secret, client: str
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._secret = secret
        self._client = client

    def token(self) -> tuple[Secret, str]:
        """Return the token, and how it came: `read`, `waited` or `signed-in`."""
        if (token := self._read()) is not None:
            return token, "read"
        locked = self._store.post("/v1/stores/lock", json={"wait_ms": WAIT}).raise_for_status()
        lock = {"Lock": str(locked.json()["fence"])}
        try:
            if (token := self._read()) is not None:
                return token, "waited"
            token = self._sign_in()
            written = self._store.put("/v1/stores/token", content=token.reveal(), headers=lock)
            written.raise_for_status()
            return token, "signed-in"
        finally:
            self._store.delete("/v1/stores/lock", headers=lock)

    def _read(self) -> Secret | None:
        found = self._store.get("/v1/stores/token")
        if found.status_code == httpx.codes.NOT_FOUND:
            return None
        return Secret(found.raise_for_status().text)

    def _sign_in(self) -> Secret:
        """Get a token of its own (RFC 6749, 4.4)."""
        form = {"grant_type": "client_credentials", "scope": "risk.read"}
        shown = (self._client, self._secret.reveal())
        answer = self._issuer.post("/token", data=form, auth=shown).raise_for_status()
        return Secret(answer.json()["access_token"])


def main() -> None:
    """Get the token at each line of standard input, until that ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--control", required=True, help="sessiond's control socket")
    parser.add_argument("--issuer", required=True, help="where it signs in")
    parser.add_argument("--client", required=True, help="as whom")
    parser.add_argument("--secret-file", required=True, type=Path, help="with what")
    given = parser.parse_args()
    unix = httpx.HTTPTransport(uds=given.control)
    whose = {"context": CONTEXT, "name": NAME}
    with (
        httpx.Client(
            transport=unix, base_url="http://sessiond", params=whose, timeout=TIMEOUT
        ) as store,
        httpx.Client(base_url=given.issuer, trust_env=False, timeout=TIMEOUT) as issuer,
    ):
        secret = Secret(given.secret_file.read_text(encoding="ascii").strip())
        sharer = Sharer(store, issuer, secret, given.client)
        commands = Commands(sys.stdin.fileno())
        report("ready")
        while (told := commands.read()) is not None:
            for _ in told:
                started = time.monotonic()
                token, how = sharer.token()
                took = time.monotonic() - started
                digest = hashlib.sha256(token.reveal().encode()).hexdigest()[:SHOWN]
                report("has", how=how, token=digest, took=took)


if __name__ == "__main__":
    main()
