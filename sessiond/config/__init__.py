"""The configuration file as typed values. Each part is given only its own struct."""

from sessiond.config.access_tables import AccessConfig, GrantConfig, ProcessConfig
from sessiond.config.reading import load, read
from sessiond.config.source_tables import SourceConfig
from sessiond.config.stores_tables import StoresConfig
from sessiond.config.tables import (
    Config,
    EventsConfig,
    IssuerConfig,
    ListenConfig,
    LogConfig,
    LoginConfig,
    RefreshConfig,
    RoleSourceConfig,
    StoreConfig,
    SubscriberConfig,
)
from sessiond.config.ticket_tables import TicketsConfig
from sessiond.config.web_tables import WebClientConfig, WebConfig

__all__ = [
    "AccessConfig",
    "Config",
    "EventsConfig",
    "GrantConfig",
    "IssuerConfig",
    "ListenConfig",
    "LogConfig",
    "LoginConfig",
    "ProcessConfig",
    "RefreshConfig",
    "RoleSourceConfig",
    "SourceConfig",
    "StoreConfig",
    "StoresConfig",
    "SubscriberConfig",
    "TicketsConfig",
    "WebClientConfig",
    "WebConfig",
    "load",
    "read",
]
