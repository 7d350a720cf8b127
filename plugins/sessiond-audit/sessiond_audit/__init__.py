"""sessiond's events as an append-only file in which tampering shows."""

from typing import Any

from sessiond.api import settings_of
from sessiond_audit.log import AuditLog
from sessiond_audit.settings import AuditSettings

__all__ = ["AuditLog", "subscriber"]


def subscriber(**keys: Any) -> AuditLog:
    """Return the log that a `[[subscriber]]` table with `plugin = "audit"` asks for."""
    return AuditLog(settings_of(AuditSettings, keys))
