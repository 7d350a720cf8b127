"""The one writer: what is asked of the rows waits in the agenda, and is written batch by batch."""

from sessiond.table.table import Loaded, Store, Table, TableSettings

__all__ = ["Loaded", "Store", "Table", "TableSettings"]
