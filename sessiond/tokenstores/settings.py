"""What token stores go by."""

from dataclasses import dataclass

from sessiond.system.peer import AllowList


@dataclass(frozen=True, slots=True, kw_only=True)
class StoresSettings:
    """Of `[stores]`."""

    allowed: AllowList | None = None  # None: there are no token stores
    is_shared: bool = False  # each context is everybody's whom the list names
    max_contexts: int = 1000
