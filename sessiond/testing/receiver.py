"""What a subscriber posts to, on loopback: a chat, a ticket system, any webhook."""

import queue
from collections.abc import Callable
from typing import Self, Unpack

from sessiond.testing.answer import Answer, Asked
from sessiond.testing.faults import Fault, FaultMembers, Faults
from sessiond.testing.loopback import Loopback

PATIENCE = 20.0  # seconds


class FakeReceiver:
    """Answers 200 and an empty JSON object to whatever comes, inside its `with` block."""

    def __init__(self, *, port: int = 0) -> None:
        """Be ready.

        Args:
            port: Of loopback; 0 = any that is free.
        """
        self.received: list[Asked] = []
        self._news: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._faults = Faults()
        self._loopback = Loopback(self._respond, port=port)
        self.url = f"{self._loopback.url}/"

    def __enter__(self) -> Self:
        self._loopback.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._loopback.__exit__(*error)

    def fail(self, *, times: int | None = None, **fault: Unpack[FaultMembers]) -> None:
        """Answer badly from now on; see `FakeIssuer.fail`. What comes is received all the same."""
        self._faults.begin("", Fault(**fault), times=times)

    def mend(self) -> None:
        """Answer well again."""
        self._faults.end()

    def next(self, *, within: float | None = PATIENCE) -> Asked:
        """Wait for the next request that nobody has waited for yet; None = for ever.

        Raises:
            TimeoutError: None came.
        """
        try:
            return self._news.get(timeout=within)
        except queue.Empty:
            raise TimeoutError(f"nothing came within {within:g} seconds") from None

    def _respond(self, asked: Asked, wait: Callable[[float], None]) -> Answer:
        self.received.append(asked)
        self._news.put(asked)
        fault = self._faults.take("") or Fault()
        wait(fault.seconds)
        return fault.on(lambda: Answer(200, {}))
