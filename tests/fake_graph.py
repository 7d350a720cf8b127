"""Microsoft Graph as far as a login needs it, as strict as the real one, and our client's tokens.

learn.microsoft.com/graph/api/directoryobject-checkmembergroups has the call, graph/errors the shape
of a refusal, graph/throttling that of a 429.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Unpack

import httpx

from sessiond.testing.answer import Answer, Asked
from sessiond.testing.faults import Fault, FaultMembers, Faults
from sessiond.testing.loopback import Loopback

CLIENT, SECRET = "sessiond", "graph-client-secret"
MOST_IDS = 20
_PATH = re.compile(r"/v1\.0/users/([0-9a-f-]{36})/checkMemberGroups")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class FakeGraph:
    """Knows who is in which groups. Everything may be changed while it is asked."""

    def __init__(self, members: Mapping[str, set[str]], *, url: str = "https://graph.test") -> None:
        """Begin well.

        Args:
            members: The groups of each user, by object ids.
            url: Where it is; `serve` changes it.
        """
        self.members = dict(members)
        self.url = url
        self.life: float | None = 3599.0  # seconds that our client's tokens are good
        self.is_consented = True  # to the application's permissions
        self.asked: list[Asked] = []
        self.tokens: set[str] = set()  # that are good
        self._faults = Faults()
        self._given = 0

    @property
    def checks(self) -> list[list[str]]:
        """The ids of each question."""
        return [each.json()["groupIds"] for each in self.asked if each.path != "/token"]

    @property
    def grants(self) -> int:
        """How often a token was asked for."""
        return sum(each.path == "/token" for each in self.asked)

    def fail(self, what: str, *, times: int | None = None, **fault: Unpack[FaultMembers]) -> None:
        """Answer `token` or `check` badly, so often; None = until `mend`."""
        self._faults.begin(what, Fault(**fault), times=times)

    def mend(self) -> None:
        self._faults.end()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Be there on loopback while the block runs."""
        with Loopback(self.respond) as served:
            self.url = served.url
            yield served.url

    def respond(self, asked: Asked, wait: Callable[[float], None]) -> Answer:
        """Answer one request, on a `Loopback`."""
        fault = self._noted(asked)
        wait(fault.seconds)
        return fault.on(lambda: self._answer(asked))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request in memory."""
        asked = Asked(
            method=request.method,
            path=request.url.path,
            headers=dict(request.headers),
            content=request.content,
        )
        said = self._noted(asked).on(lambda: self._answer(asked))
        return httpx.Response(said.status, headers=said.headers, content=said.content)

    def _noted(self, asked: Asked) -> Fault:
        self.asked.append(asked)
        return self._faults.take("token" if asked.path == "/token" else "check") or Fault()

    def _answer(self, asked: Asked) -> Answer:
        if (asked.method, asked.path) == ("POST", "/token"):
            return self._token(asked)
        user = _PATH.fullmatch(asked.path)
        if asked.method != "POST" or user is None:
            return _error(404, "ResourceNotFound")
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _error(401, "InvalidAuthenticationToken")
        if not asked.headers.get("content-type", "").startswith("application/json"):
            return _error(415, "Request_UnsupportedMediaType")
        ids = asked.json().get("groupIds")
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids) or not ids:
            return _error(400, "Request_BadRequest")
        if len(ids) > MOST_IDS or not all(map(_ID.fullmatch, ids)):
            return _error(400, "Request_BadRequest")
        if not self.is_consented:
            return _error(403, "Authorization_RequestDenied")
        if user[1] not in self.members:
            return _error(404, "Request_ResourceNotFound")
        context = f"{self.url}/v1.0/$metadata#Collection(Edm.String)"
        found = [each for each in ids if each in self.members[user[1]]]
        return Answer(200, {"@odata.context": context, "value": found})

    def _token(self, asked: Asked) -> Answer:
        basic = b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {basic}":
            return Answer(401, {"error": "invalid_client", "error_codes": [7000215]})
        if asked.form.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        if asked.form.get("scope") != f"{self.url}/.default":
            return Answer(400, {"error": "invalid_scope", "error_codes": [70011]})
        self._given += 1
        token = f"token-for-graph-{self._given}"
        self.tokens.add(token)
        said: dict[str, Any] = {"token_type": "Bearer", "access_token": token}
        return Answer(200, said if self.life is None else {**said, "expires_in": self.life})


def _error(status: int, code: str) -> Answer:
    message = "a text that may hold more than a log should"
    return Answer(status, {"error": {"code": code, "message": message, "innerError": {}}})
