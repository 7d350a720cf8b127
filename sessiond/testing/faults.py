"""What can be wrong with the answers of a stand-in, and for how long."""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict

from sessiond.testing.answer import Answer

TRICKLE = 0.02  # seconds between two bytes of a body that never ends


class FaultMembers(TypedDict, total=False):
    """What may be wrong; see `Fault`."""

    delay: float
    hang: bool
    drop: bool
    pace: float
    endless: bool
    status: int | None
    error: str
    retry_after: float | None
    body: bytes | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way of answering badly; what is not said stays as it is.

    Where another answer is sent than the good one, what was asked for is not done: a refresh token
    that is answered 500 is still good.
    """

    delay: float = 0.0  # seconds before the answer
    hang: bool = False  # no answer, ever
    drop: bool = False  # the connection is closed instead
    pace: float = 0.0  # seconds between two bytes of the body
    endless: bool = False  # a body that never ends
    status: int | None = None  # such as 500; where only `error` is said, 400
    error: str = ""  # an OAuth error code, such as invalid_grant (RFC 6749, 5.2)
    retry_after: float | None = None  # seconds, in the header of a 429 or 503 (RFC 9110, 10.2.3)
    body: bytes | None = None  # instead of JSON: nonsense, nested, oversized, nothing
    headers: Mapping[str, str] = field(default_factory=dict)  # such as Content-Type, Location

    @property
    def seconds(self) -> float:
        """How long it takes to answer."""
        return math.inf if self.hang else self.delay

    def on(self, good: Callable[[], Answer]) -> Answer:
        """Return what is answered where `good` would be."""
        answer = Answer(200, {}) if self._is_another else good()
        status = self.status or (400 if self.error else answer.status)
        later = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        return replace(
            answer,
            status=status,
            body={"error": self.error} if self.error else answer.body,
            headers={**answer.headers, **later, **self.headers},
            raw=answer.raw if self.body is None else self.body,
            pace=self.pace or (TRICKLE if self.endless else 0.0),
            is_endless=self.endless,
            is_dropped=self.drop,
        )

    @property
    def _is_another(self) -> bool:
        said = (self.hang, self.drop, self.endless, self.error)
        return any(said) or self.status is not None or self.body is not None


class Faults:
    """The faults in force, by endpoint. Asked from many threads."""

    def __init__(self) -> None:
        self._faults: dict[str, tuple[Fault, float]] = {}  # and how often still
        self._lock = threading.Lock()

    def begin(self, endpoint: str, fault: Fault, *, times: int | None = None) -> None:
        """Have an endpoint fail so often, in place of how it failed before; None = until `end`."""
        with self._lock:
            self._faults[endpoint] = (fault, math.inf if times is None else times)

    def end(self) -> None:
        """Have everything answer well."""
        with self._lock:
            self._faults.clear()

    def take(self, endpoint: str) -> Fault | None:
        """Return how this call is to fail, if it is."""
        with self._lock:
            fault, times = self._faults.get(endpoint, (None, 0))
            if fault is None or times <= 0:
                return None
            self._faults[endpoint] = (fault, times - 1)
            return fault
