"""What `[stores]` holds: who may keep tokens in sessiond's token stores."""

from msgspec import Struct

from sessiond.config.value_types import Account, Contexts


class StoresConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[stores]` table; without one there are no token stores."""

    users: tuple[Account, ...] = ()  # users or @groups
    shared: bool = False  # among them; else a context is the user's who first wrote it
    max_contexts: Contexts = 1000
