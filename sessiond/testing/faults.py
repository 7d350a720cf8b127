"""What can be wrong with an issuer's answers, and for how long."""

import math
from dataclasses import dataclass, replace

from sessiond.testing.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way of answering badly."""

    delay: float = 0.0  # seconds
    hang: bool = False
    status: int | None = None
    error: str = ""  # an OAuth error code
    retry_after: float | None = None  # seconds
    body: bytes | None = None

    @property
    def seconds(self) -> float:
        """How long it takes to answer."""
        return math.inf if self.hang else self.delay

    def on(self, answer: Answer) -> Answer:
        """Return what becomes of a good answer."""
        if self.error:
            answer = replace(answer, status=400, body={"error": self.error})
        if self.status is not None:
            body = answer.body if self.error else {}
            answer = replace(answer, status=self.status, body=body)
        if self.retry_after is not None:
            headers = {**answer.headers, "Retry-After": f"{self.retry_after:g}"}
            answer = replace(answer, headers=headers)
        if self.body is not None:
            answer = replace(answer, raw=self.body)
        return answer


class Faults:
    """The faults in force, by endpoint."""

    def __init__(self) -> None:
        self._faults: dict[str, tuple[Fault, float]] = {}  # and how often still

    def begin(self, endpoint: str, fault: Fault, *, times: int | None) -> None:
        """Have an endpoint fail, in place of how it failed before."""
        self._faults[endpoint] = (fault, math.inf if times is None else times)

    def end(self) -> None:
        """Have everything answer well."""
        self._faults.clear()

    def take(self, endpoint: str) -> Fault | None:
        """Return how this call is to fail, if it is."""
        fault, times = self._faults.get(endpoint, (None, 0))
        if fault is None or times <= 0:
            return None
        self._faults[endpoint] = (fault, times - 1)
        return fault
