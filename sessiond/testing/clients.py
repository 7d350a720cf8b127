"""The clients of a fake issuer: who may ask for tokens, and which of them get their own."""

import hmac
from collections.abc import Mapping
from typing import Any

from sessiond.testing.answer import Answer, Asked
from sessiond.testing.granting import Brings, Grant, Grants

ITS_OWN = "client_credentials"  # grant_type (RFC 6749, 4.4)
ALONE = Brings(answer={"refresh_token": None})


class Clients:
    """One issuer's. Not for many threads at once."""

    def __init__(self, grants: Grants, *, client: str, programs: Mapping[str, str]) -> None:
        """Know them from the beginning.

        Args:
            grants: The issuer's.
            client: Whom people sign in with; its secret is anything. Empty = whoever asks.
            programs: Those that get tokens of their own, with their secrets.
        """
        self._grants = grants
        self._client = client
        self._programs = programs

    def refusal(self, asked: Asked) -> Answer | None:
        """Return what a request is refused with that shows no client; None: it goes on."""
        client, secret = asked.credentials
        if (known := self._programs.get(client)) is not None:
            if hmac.compare_digest(known.encode(), secret.encode()):
                return None
            proved = "authorization" in asked.headers
            headers = {"WWW-Authenticate": 'Basic realm="token"'} if proved else {}
            return Answer(401 if proved else 400, {"error": "invalid_client"}, headers)
        is_another = self._client and client != self._client
        return Answer(400, {"error": "invalid_client"}) if is_another else None

    def grant(self, asked: Asked) -> Grant | str:
        """Return what a program is granted as itself, or the error (RFC 6749, 5.2)."""
        client = asked.client
        if client not in self._programs or client in self._grants.disabled:
            return "unauthorized_client"
        target: dict[str, Any] = {"aud": asked.form["resource"]} if "resource" in asked.form else {}
        return self._grants.grant(
            client,
            sub=client,  # RFC 9068, 2.2
            client_id=client,
            preferred_username=None,
            scope=asked.form.get("scope"),
            **target,
        )
