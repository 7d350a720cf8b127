"""A role source for sessiond: roles and attributes of users from a CSV file."""

from typing import Any

from sessiond.api import settings_of
from sessiond_csv_roles.source import CsvRoles, CsvSettings

__all__ = ["CsvRoles", "CsvSettings", "source"]


def source(**keys: Any) -> CsvRoles:
    """Return the source that a `[[role_source]]` table with `plugin = "csv-roles"` asks for."""
    return CsvRoles(settings_of(CsvSettings, keys))
