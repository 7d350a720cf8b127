"""Where a presented token waits for its verdict."""

from sessiond.gate.breaker import Breaker
from sessiond.gate.fair import FairLimiter
from sessiond.gate.gate import Admission, Door, Gate
from sessiond.gate.route import Realm
from sessiond.gate.timings import Spans

__all__ = ["Admission", "Breaker", "Door", "FairLimiter", "Gate", "Realm", "Spans"]
