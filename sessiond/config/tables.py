"""What the tables of the configuration file hold: each key and its default."""

from typing import Any

from msgspec import Struct

from sessiond.config.access_tables import AccessConfig
from sessiond.config.source_tables import SourceConfig
from sessiond.config.stores_tables import StoresConfig
from sessiond.config.ticket_tables import TicketsConfig
from sessiond.config.value_types import (
    Account,
    Algorithm,
    ClaimValue,
    ClientAuth,
    Count,
    FilePath,
    FullText,
    Groups,
    IdTokenClaim,
    Kind,
    LogFormat,
    LogLevel,
    Memory,
    MessageSize,
    Name,
    NamePattern,
    OptionalAccount,
    OptionalPath,
    Part,
    PartOrNone,
    Port,
    Rotation,
    Skew,
    Span,
    SpanOrNever,
    Text,
    Verify,
    Wait,
)
from sessiond.config.web_tables import WebClientConfig, WebConfig


class ListenConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[listen]` table: where q processes and operators connect, and who may."""

    port: Port = 5099
    directory: FilePath = "/tmp"  # noqa: S108 - where kdb+ itself looks
    path: bool = True
    allow_users: tuple[Account, ...] = ()  # beside the daemon's own user and root
    allow_groups: tuple[Account, ...] = ()
    proof_key_file: OptionalPath = ""
    max_message: MessageSize = 1_048_576  # bytes
    max_connections: Count = 4096
    control: FilePath = "/run/sessiond/control.sock"
    control_group: OptionalAccount = ""  # empty: the daemon's own
    control_readers: tuple[Account, ...] = ()  # users or @groups
    control_admins: tuple[Account, ...] = ()  # users or @groups
    subscribers: tuple[Account, ...] = ()  # users or @groups; empty: whoever may connect


class StoreConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[store]` table: the database and the key that seals its refresh tokens."""

    path: FilePath = "/var/lib/sessiond/sessiond.db"
    key_file: OptionalPath = ""


class LoginConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[login]` table. Times are seconds."""

    deadline: Wait = 2.0
    waiting: Count = 4  # logins of one process
    cache: SpanOrNever = 300.0
    cache_asked: SpanOrNever = 30.0
    unbound: Wait = 10.0
    grace: Wait = 30.0
    leeway: Skew = 30.0
    max_sessions: Count = 10_000  # of one process


class RefreshConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[refresh]` table. `share` and `jitter` are parts of a lease, their sum below 1."""

    share: Part = 0.6
    jitter: PartOrNone = 0.1
    concurrency: Count = 16  # per issuer
    timeout: Wait = 10.0  # seconds
    recheck: SpanOrNever = 300.0  # seconds


class EventsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[events]` table: how long events are kept and how often a subscriber may fail."""

    keep: Span = 604_800.0  # seconds
    max_attempts: Count = 10


class LogConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[log]` table."""

    format: LogFormat = "json"
    level: LogLevel = "info"


class IssuerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[issuer]]` table, completed for its kind: nothing needs to be derived again."""

    name: Name
    kind: Kind = "oidc"
    issuer: FullText
    also_issued_as: tuple[FullText, ...] = ()
    verify: Verify
    plugin: Text = ""  # the entry point's name, where verify is plugin
    users: tuple[NamePattern, ...] = ()
    audience: tuple[FullText, ...] = ()
    algorithms: tuple[Algorithm, ...] = ()  # empty: every one of these
    typ: tuple[Text, ...] = ("at+jwt",)
    required_scope: Text = ""
    audience_claim: FullText = "aud"
    tolerated_claims: tuple[IdTokenClaim, ...] = ()
    token_type_optional: bool = False
    allow_clients: tuple[FullText, ...] = ()  # whose tokens may stand for no user
    unverified_email: bool = False
    rotation: Rotation = "strict"  # of refresh tokens; only `sessionctl client-profile` goes by it
    user_claim: FullText = "preferred_username"
    subject_claim: FullText = "sub"
    lease: Span = 3600.0  # seconds
    client_id: Text = "sessiond"
    client_auth: ClientAuth = "basic"
    client_secret_file: OptionalPath = ""
    refresh_client_id: Text = ""
    refresh_client_secret_file: OptionalPath = ""
    refresh_scope: Text = ""
    prove_by_refresh: bool = False
    ca_file: OptionalPath = ""
    timeout: Wait = 1.5  # seconds
    concurrency: Count = 64
    discovery: Text = ""
    jwks_uri: Text = ""
    introspection_endpoint: Text = ""
    token_endpoint: Text = ""
    userinfo_endpoint: Text = ""
    insecure_http: bool = False
    groups: Groups = "token"  # who says them where the token leaves them out (Entra)
    graph_endpoint: Text = ""  # where groups is graph, as read from a file, never empty
    roles_claim: tuple[FullText, ...] = ("roles", "scp", "scope")
    role_names: tuple[NamePattern, ...] = ()  # patterns of claim values
    default_roles: tuple[FullText, ...] = ()
    require_role: bool = False
    roles: dict[ClaimValue, FullText] = {}  # claim value = role
    attributes: dict[ClaimValue, FullText] = {}  # claim = attribute of the session
    settings: dict[str, Any] = {}  # the plugin's own
    web: WebClientConfig | None = None  # None: nobody signs in here by the browser


class RoleSourceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[role_source]]` table. Times are seconds."""

    plugin: Name  # the entry point's name
    name: Name = ""  # unique; as read from a file never empty: if left out, the plugin's
    issuers: tuple[Name, ...] = ()  # empty: all
    deadline: Wait = 1.0
    cache: SpanOrNever = 60.0
    stale: SpanOrNever = 0.0
    settings: dict[str, Any] = {}  # the table's other keys


class SubscriberConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[subscriber]]` table."""

    plugin: Name  # the entry point's name
    name: Name = ""  # unique: its place is kept under it; if left out of a file, the plugin's
    deadline: Wait = 30.0  # seconds
    memory: Memory = 536_870_912  # bytes
    required: bool = False  # no start without it
    settings: dict[str, Any] = {}  # the table's other keys


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    listen: ListenConfig = ListenConfig()
    store: StoreConfig = StoreConfig()
    login: LoginConfig = LoginConfig()
    refresh: RefreshConfig = RefreshConfig()
    events: EventsConfig = EventsConfig()
    log: LogConfig = LogConfig()
    access: AccessConfig = AccessConfig()
    web: WebConfig = WebConfig()
    tickets: TicketsConfig | None = None  # None: there are none
    stores: StoresConfig | None = None  # None: there are none
    issuers: tuple[IssuerConfig, ...]
    subscribers: tuple[SubscriberConfig, ...] = ()
    role_sources: tuple[RoleSourceConfig, ...] = ()
    sources: tuple[SourceConfig, ...] = ()
    digest: str = ""  # SHA-256 of the file as it was read, hexadecimal
