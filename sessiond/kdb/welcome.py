"""Answers `hello`: who the daemon is, and the proof of it."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sessiond import __version__
from sessiond.core.secret import Secret
from sessiond.kdb.calls import Hello
from sessiond.kdb.proof import proof_of
from sessiond.qipc import Value, dictionary, guid, octets, string, timespan


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What every process is told at first."""

    instance: UUID  # new at each start: tells a restart
    deadline: timedelta  # within which logins are answered
    address: str  # DIRECTORY/kx.PORT
    key: Secret | None  # shared with q; None: no proof

    def answer(self, hello: Hello) -> Value:
        """Return the answer to a `hello`; without a key its proof is empty."""
        proof = b""
        if self.key is not None:
            proof = proof_of(self.key, address=self.address, nonce=hello.nonce)
        return dictionary(
            {
                "server": string(f"sessiond {__version__}"),
                "instance": guid(self.instance),
                "proof": octets(proof),
                "deadline": timespan(self.deadline),
            }
        )
