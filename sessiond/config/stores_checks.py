"""What `[stores]` must fit."""

from collections.abc import Iterator

from sessiond.config.stores_tables import StoresConfig

MAX_USERS = 1000


def problems_of_stores(stores: StoresConfig | None) -> Iterator[str]:
    """Find a store that is nobody's."""
    if stores is None:
        return
    if not stores.users:
        yield "stores.users is empty, must name who may keep tokens here: users or @groups"
    if len(stores.users) > MAX_USERS:
        yield f"stores.users has {len(stores.users)} values, must have at most {MAX_USERS}"
