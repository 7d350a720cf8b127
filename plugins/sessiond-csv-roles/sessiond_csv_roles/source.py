"""The role source: a file, read again when it changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from sessiond.api import (
    Granted,
    IssuerUnavailable,
    Principal,
    SettingsError,
    TrustedFile,
    TrustedFileError,
)
from sessiond_csv_roles.lines import folded, read_lines

NOTHING = Granted()


class CsvSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of the `[[role_source]]` table that are not sessiond's."""

    path: Annotated[str, Meta(pattern=r"^/[^\x00]*\Z", description="an absolute path")]


class CsvRoles:
    """A RoleSource (sessiond.api). A user who is not in the file has nothing from it."""

    def __init__(self, settings: CsvSettings) -> None:
        """Read the file.

        Raises:
            SettingsError: It is not there, others may write it, or a line is wrong.
        """
        self._file: TrustedFile[Mapping[str, Granted]] = TrustedFile(settings.path, read_lines)
        try:
            self._file.current()
        except TrustedFileError as error:
            raise SettingsError(f"path: {error}") from error

    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        """Return what the file gives to a user of this name, as it is now."""
        try:
            return self._file.current().get(folded(principal.name), NOTHING)
        except TrustedFileError as error:
            raise IssuerUnavailable(
                f"{error}, wanted the file of roles: mend it, or bring it back"
            ) from error
