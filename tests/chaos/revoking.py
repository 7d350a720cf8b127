"""The operator of a chaos run: revokes over the control socket."""

from pathlib import Path

import httpx

from tests.chaos.journal import Journal


class Operator:
    """Asks with curl's means: HTTP over a Unix socket."""

    def __init__(self, control: Path, journal: Journal) -> None:
        self._control = control
        self._journal = journal

    def revoke(self, **target: str) -> None:
        """Take back a `session` or all that a `user` has; what is answered is acknowledged."""
        self._journal.note("operator-revoking", **target)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self._control))) as http:
            body = {**target, "reason": "chaos"}
            answer = http.post("http://sessiond/v1/revocations", json=body, timeout=20.0)
        answer.raise_for_status()
        self._journal.note("operator-revoked", **target)
