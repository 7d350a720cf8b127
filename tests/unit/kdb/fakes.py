"""What stands in for a connection."""

from dataclasses import dataclass, field


@dataclass
class FakeLine:
    """Fulfils `Line`."""

    pushed: list[bytes] = field(default_factory=list)
    is_cut: bool = False

    def push(self, *messages: bytes) -> None:
        self.pushed += messages

    def cut(self) -> None:
        self.is_cut = True
