"""Where a presented token waits for its verdict."""

from sessiond.gate.ask_once import AskOnce
from sessiond.gate.breaker import Breaker
from sessiond.gate.fair import FairLimiter
from sessiond.gate.gate import Gate
from sessiond.gate.gate_issuer import GateIssuer, GateSettings, ReadyVerifier, RolesBeside
from sessiond.gate.kept_answers import KeptAnswers
from sessiond.gate.presented_login import Issued, PresentedLogin
from sessiond.gate.route import IssuerRoute
from sessiond.gate.timings import LoginTimings
from sessiond.gate.verified_login import VerifiedLogin
from sessiond.gate.waiting import Waiting

__all__ = [
    "AskOnce",
    "Breaker",
    "FairLimiter",
    "Gate",
    "GateIssuer",
    "GateSettings",
    "Issued",
    "IssuerRoute",
    "KeptAnswers",
    "LoginTimings",
    "PresentedLogin",
    "ReadyVerifier",
    "RolesBeside",
    "VerifiedLogin",
    "Waiting",
]
