"""The subscriber: events in, rows at the tickerplant, acknowledged by returning."""

from collections.abc import Sequence

from sessiond.api import Event
from sessiond.qipc import Value, call, symbol
from sessiond_kdb.connection import Connection, TickerplantError
from sessiond_kdb.names import ProcessNames
from sessiond_kdb.rows import columns
from sessiond_kdb.settings import KdbSettings


class Publisher:
    """Calls `.u.upd` with the rows of each batch, over one connection kept open."""

    def __init__(self, settings: KdbSettings) -> None:
        self.batch = settings.batch
        self._settings = settings
        self._connection: Connection | None = None
        self._names = ProcessNames()

    def receive_batch(self, events: Sequence[Event]) -> None:
        """Return when the tickerplant has processed the rows.

        Raises:
            TickerplantError: It may not have; the next call connects anew.
            UpdateRefusedError: It signalled an error (only with `sync`).
        """
        if self._connection is None:
            self._connection = Connection.open(self._settings)
        try:
            if self._settings.sync:
                self._connection.ask(self._update(events))
            else:
                self._connection.tell(self._update(events))
        except TickerplantError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _update(self, events: Sequence[Event]) -> Value:
        rows = columns(events, self._settings.time, self._names.given)
        return call(".u.upd", symbol(self._settings.table), rows)
