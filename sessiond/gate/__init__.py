"""Where a presented token waits for its verdict."""

from sessiond.gate.ask_once import AskOnce
from sessiond.gate.breaker import Breaker
from sessiond.gate.fair import FairLimiter
from sessiond.gate.gate import Gate, VerifiedLogin
from sessiond.gate.gate_issuer import GateIssuer, GateSettings, RolesBeside
from sessiond.gate.route import IssuerRoute
from sessiond.gate.timings import LoginTimings

__all__ = [
    "AskOnce",
    "Breaker",
    "FairLimiter",
    "Gate",
    "GateIssuer",
    "GateSettings",
    "IssuerRoute",
    "LoginTimings",
    "RolesBeside",
    "VerifiedLogin",
]
