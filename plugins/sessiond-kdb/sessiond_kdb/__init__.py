"""sessiond's events as rows in a kdb+ tickerplant."""

from typing import Any

from sessiond.api import settings_of
from sessiond_kdb.publisher import Publisher
from sessiond_kdb.settings import KdbSettings

__all__ = ["Publisher", "subscriber"]


def subscriber(**keys: Any) -> Publisher:
    """Return the publisher that a `[[subscriber]]` table with `plugin = "kdb"` asks for."""
    return Publisher(settings_of(KdbSettings, keys))
