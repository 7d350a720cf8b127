"""The one writer: what is asked of the rows waits in the agenda, and is written batch by batch."""

from sessiond.table.agenda import Then
from sessiond.table.hearing import Committed, Reader
from sessiond.table.store import Loaded, Store
from sessiond.table.table import Table, TableSettings

__all__ = ["Committed", "Loaded", "Reader", "Store", "Table", "TableSettings", "Then"]
