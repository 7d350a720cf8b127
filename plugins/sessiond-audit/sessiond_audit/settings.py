"""The plugin's keys of a `[[subscriber]]` table."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

Fsync = Literal["each", "interval", "never"]


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the log is, and how it is kept."""

    path: str  # absolute; rotated files lie beside it
    fsync: Fsync = "each"  # batch, before it is acknowledged
    interval: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # seconds, for fsync = "interval"
    max_size: Annotated[int, msgspec.Meta(ge=0)] = 67_108_864  # bytes; 0 = do not rotate by size
    max_age: Annotated[float, msgspec.Meta(ge=0)] = 86_400.0  # seconds; 0 = do not rotate by age
    keep: Annotated[int, msgspec.Meta(ge=0)] = 0  # rotated files; 0 = all
    batch: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 256  # events written at a time

    def __post_init__(self) -> None:
        if not Path(self.path).is_absolute() or Path(self.path).name in ("", ".."):
            raise ValueError(f"path is {self.path!r}, must be the absolute path of a file")
