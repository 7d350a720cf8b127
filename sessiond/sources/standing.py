"""How a source stands, in one word, for operators."""

from sessiond.sources.seeded import Seeded
from sessiond.sources.source import Source

READY, IDLE, UNAUTHORIZED = "ready", "idle", "unauthorized"


async def standing_of(source: Source) -> str:
    """Return the word: one of these, or the reason for which the last call brought nothing.

    Raises:
        StoreError: Nobody knows what there is to refresh with.
    """
    if source.is_given:
        return READY
    if isinstance(source.fetching, Seeded) and not await source.fetching.is_authorized():
        return UNAUTHORIZED
    return IDLE if source.health.reason is None else source.health.reason.value
