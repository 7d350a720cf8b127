"""Where the time of a login went."""

from dataclasses import dataclass


@dataclass(slots=True)
class LoginTimings:
    """Filled in by the gate, for the log and the metrics. None: it did not come to that."""

    issuer: str = ""  # whom the token was taken to
    queued: float | None = None  # seconds that its call to the issuer waited for its turn
    called: float | None = None  # seconds that the call took, or has taken when nobody waits longer
