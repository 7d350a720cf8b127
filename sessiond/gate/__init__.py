"""Where a presented token waits for its verdict."""

from sessiond.gate.breaker import Breaker
from sessiond.gate.fair import FairLimiter
from sessiond.gate.gate import Admission, Gate, GateIssuer
from sessiond.gate.route import IssuerRoute
from sessiond.gate.timings import LoginTimings

__all__ = [
    "Admission",
    "Breaker",
    "FairLimiter",
    "Gate",
    "GateIssuer",
    "IssuerRoute",
    "LoginTimings",
]
