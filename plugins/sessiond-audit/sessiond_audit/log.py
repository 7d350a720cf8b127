"""The subscriber: events in, lines on disk, acknowledged by returning."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack

from sessiond.api import Event, to_json
from sessiond_audit.chain import Chain, End
from sessiond_audit.file import AuditError
from sessiond_audit.settings import AuditSettings


class AuditLog:
    """Appends each event to a file, tied to the line before it by that line's SHA-256."""

    def __init__(self, settings: AuditSettings) -> None:
        self.batch = settings.batch
        self._settings = settings
        self._chain: Chain | None = None
        self._end: End | None = None  # of the chain, once this process has had it open
        self._failure: AuditError | None = None  # of the syncer, for the next batch to raise
        self._in_use = threading.Lock()  # batches and the syncer come from two threads
        self._stopping = threading.Event()
        self._syncer = threading.Thread(target=self._sync_now_and_then, daemon=True)

    def start(self) -> None:
        """Open the log, so that what is wrong with it shows at once.

        Raises:
            AuditError: It cannot be written, or is being written by somebody else.
        """
        with self._in_use:
            self._opened()
        if self._settings.fsync == "interval":
            self._syncer.start()

    def receive_batch(self, events: Sequence[Event]) -> None:
        """Return when the events are in the log; those that were there before are left out.

        Raises:
            AuditError: They are not, such as on a full disk; no half line is left behind.
        """
        with self._in_use:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            chain = self._opened()
            with ExitStack() as on_failure:
                on_failure.callback(self._close)  # opened again from what is on disk
                for event in events:
                    chain.add(to_json(event), event.sequence, event.at)
                chain.flush()
                on_failure.pop_all()

    def stop(self) -> None:
        """Put what was written on disk, and close the log."""
        self._stopping.set()
        if self._syncer.is_alive():
            self._syncer.join()
        with self._in_use:
            if self._chain is not None:
                try:
                    self._chain.sync()
                finally:
                    self._close()

    def _opened(self) -> Chain:
        if self._chain is None:
            self._chain = Chain.open(self._settings, self._end)
        return self._chain

    def _close(self) -> None:
        if self._chain is not None:
            self._end = self._chain.end
            self._chain.close()
            self._chain = None

    def _sync_now_and_then(self) -> None:
        while not self._stopping.wait(self._settings.interval):
            with self._in_use:
                try:
                    if self._chain is not None:
                        self._chain.sync()
                except AuditError as error:
                    self._failure = error
                    self._close()
