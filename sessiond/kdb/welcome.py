"""Answers `hello`: who the daemon is, the proof of it, and what the connection may count on."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sessiond import __version__
from sessiond.core.secret import Secret
from sessiond.kdb.calls import Hello
from sessiond.kdb.proof import proof_of
from sessiond.qipc import Value, dictionary, guid, octets, string, timespan


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """What a connection goes by to its end, as it was when it came: its process was told so."""

    deadline: float  # seconds within which each call is answered
    max_message: int  # bytes
    proof_key: Secret | None  # shared with q; None: no proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What every process is told at first."""

    instance: UUID  # new at each start: tells a restart
    address: str  # DIRECTORY/kx.PORT

    def answer(self, hello: Hello, settings: ConnectionSettings) -> Value:
        """Return the answer to a `hello`; without a key its proof is empty."""
        proof = b""
        if settings.proof_key is not None:
            proof = proof_of(settings.proof_key, address=self.address, nonce=hello.nonce)
        return dictionary(
            {
                "server": string(f"sessiond {__version__}"),
                "instance": guid(self.instance),
                "proof": octets(proof),
                "deadline": timespan(timedelta(seconds=settings.deadline)),
            }
        )
