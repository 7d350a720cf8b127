"""What stands in for a connection."""

from dataclasses import dataclass, field

from sessiond.qipc import Value


@dataclass
class FakeLine:
    """Fulfils `Line`."""

    pushed: list[Value] = field(default_factory=list)
    is_cut: bool = False

    def push(self, value: Value) -> None:
        self.pushed.append(value)

    def cut(self) -> None:
        self.is_cut = True
