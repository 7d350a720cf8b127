"""What is configured by now: one frozen value, and the one cell that holds it.

Each service is given a reader of its own part, and reads it whenever it needs it. So what a reload
has put into the cell counts everywhere from that turn of the loop on, and nobody keeps a copy that
could be forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from sessiond.control.access import Access
from sessiond.control.view import ViewSettings
from sessiond.extensions.subscribers import SubscriberSettings
from sessiond.gate import GateSettings
from sessiond.kdb.listener import ListenSettings
from sessiond.kdb.process_access import NameRules
from sessiond.kdb.welcome import ConnectionSettings
from sessiond.refresher import RefreshSettings
from sessiond.sources.settings import SourceSettings
from sessiond.system.peer import AllowList
from sessiond.table import TableSettings
from sessiond.tickets.settings import TicketSettings
from sessiond.timekeeper import Witness
from sessiond.web.needs import WebSettings

T = TypeVar("T")


class Current(Generic[T]):
    """Holds what counts now. Written by a reload alone."""

    def __init__(self, now: T) -> None:
        self.now = now


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a reload can change, as the parts take it. `daemon.settings` makes it."""

    log_format: str
    log_level: str
    listen: ListenSettings
    connection: ConnectionSettings  # of those that come from now on
    subscriber_access: AllowList | None  # who may hear of everybody; None: whoever may connect
    names: NameRules  # which ones q processes may say in `hello`
    gate: GateSettings
    slow_after: float  # seconds after which an issuer's answer to a login counts as none
    table: TableSettings
    refresh: RefreshSettings
    web: WebSettings
    sources: SourceSettings
    tickets: TicketSettings | None  # None: there are none
    witnesses: Mapping[str, Witness]  # of the time, by the issuer's name
    subscribers: SubscriberSettings
    access: Access
    view: ViewSettings
    stop_within: float  # seconds
