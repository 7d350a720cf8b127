"""When the message that is read next began to arrive: its deadline counts from there."""

from collections import deque


class Arrivals:
    """The moments at which bytes came, as far as messages may begin in them."""

    def __init__(self) -> None:
        self._chunks = deque[tuple[int, float]]()  # where each ends in the stream, and its moment
        self._received = 0  # bytes
        self._read = 0  # bytes
        self._began = 0.0  # monotonic moment

    def receive(self, size: int, moment: float, *, has_begun: bool) -> None:
        """Take note of bytes that came.

        Args:
            size: How many.
            moment: When, monotonic.
            has_begun: They belong to a message that had begun before, and do not end it; in them
                none begins. (Else one that comes byte by byte would be a million chunks.)
        """
        self._received += size
        if has_begun and self._chunks:
            _, moment = self._chunks.pop()
        self._chunks.append((self._received, moment))

    @property
    def next_began(self) -> float:
        """When the message that is read next began to arrive."""
        while self._chunks and self._chunks[0][0] <= self._read:
            self._chunks.popleft()
        if self._chunks:
            self._began = self._chunks[0][1]
        return self._began

    def began(self, size: int) -> float:
        """Return the same; so many bytes of it are read now."""
        began = self.next_began
        self._read += size
        return began
