"""A data source over HTTP: `python -m sessiond.demo.source --issuer URL`.

It takes access tokens of the issuer that are for it, and have its scope; it knows nothing of
sessiond. Who read, and who could not, it tells as lines on standard output.
"""

import argparse
import sys
from http import HTTPStatus
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from sessiond.demo.lines import Commands, report
from sessiond.demo.quotes import AUDIENCE, QUOTES, SCOPE
from sessiond.testing.answer import Answer, Asked
from sessiond.testing.loopback import Loopback

TIMEOUT = 10.0  # seconds


class Source:
    """Shows quotes to whoever brings a token for them."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self._keys = KeySet.import_key_set(keys)  # type: ignore[arg-type]  # JSON, as it came
        self._rules = jwt.JWTClaimsRegistry(
            aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}
        )

    def answer(self, asked: Asked) -> Answer:
        """Return the quotes, or what a bearer that is not good gets (RFC 6750, 3)."""
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, self._keys, algorithms=["ES256"]).claims
            self._rules.validate(claims)
        except (JoseError, ValueError):
            report("turned-away")
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return Answer(HTTPStatus.UNAUTHORIZED, {}, challenge)
        if SCOPE not in str(claims.get("scope", "")).split():
            report("turned-away")
            challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
            return Answer(HTTPStatus.FORBIDDEN, {}, challenge)
        report("read", client=claims["client_id"])
        return Answer(HTTPStatus.OK, {"quotes": QUOTES})


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--issuer", required=True, help="whose tokens are taken")
    given = parser.parse_args()
    with httpx.Client(trust_env=False, timeout=TIMEOUT) as http:
        keys = http.get(f"{given.issuer}/keys").raise_for_status().json()
    source = Source(keys)
    with Loopback(lambda asked, _: source.answer(asked)) as served:
        report("ready", url=served.url)
        commands = Commands(sys.stdin.fileno())
        while commands.read() is not None:
            pass


if __name__ == "__main__":
    main()
