"""Where a presented token waits for its verdict."""

from sessiond.gate.ask_once import AskOnce
from sessiond.gate.breaker import Breaker
from sessiond.gate.fair import FairLimiter
from sessiond.gate.gate import Admission, Gate
from sessiond.gate.gate_issuer import GateIssuer, RolesBeside
from sessiond.gate.route import IssuerRoute
from sessiond.gate.timings import LoginTimings

__all__ = [
    "Admission",
    "AskOnce",
    "Breaker",
    "FairLimiter",
    "Gate",
    "GateIssuer",
    "IssuerRoute",
    "LoginTimings",
    "RolesBeside",
]
