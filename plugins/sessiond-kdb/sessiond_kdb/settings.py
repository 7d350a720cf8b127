"""The plugin's keys of a `[[subscriber]]` table."""

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

Time = Literal["timestamp", "timespan", "none"]
_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class KdbSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the tickerplant is, who we are there, and how a row is sent."""

    host: str = "localhost"
    port: _Port = 0  # TCP; either this or `unix`
    unix: _Port = 0  # the port of a Unix socket, as in hopen `:unix://PORT
    directory: str = "/tmp"  # noqa: S108 - where kdb+ has its Unix sockets: $QUDSPATH, or this
    user: str = "sessiond"
    password_file: str = ""  # its first line; empty = no password
    table: str = "sessionevents"
    time: Time = "timestamp"  # type of the time column; none = the tickerplant adds it
    sync: bool = False  # call .u.upd sync, so that its own error comes back
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 5.0  # seconds for the network at each step
    batch: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100  # rows in one message

    def __post_init__(self) -> None:
        if bool(self.port) == bool(self.unix):
            raise ValueError("port or unix must be given, and not both")
        if not self.host or "\0" in self.host + self.directory:
            raise ValueError("host must be a name or an address")
        if ":" in self.user or not self.user.isprintable() or not self.user.isascii():
            raise ValueError("user must be printable ASCII without a colon")
        if not _TABLE.fullmatch(self.table):
            raise ValueError("table must be a q name: letters, digits and _")
        if self.password_file and not Path(self.password_file).is_absolute():
            raise ValueError("password_file must be an absolute path")
