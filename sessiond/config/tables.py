"""What the tables of the configuration file hold: each key, its default and its range.

A path is absolute; an empty one means what `config.example.toml` says beside it. The
descriptions are the ends of error messages: "refresh.share is 1.2, must be DESCRIPTION".
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

MAX_TEXT = 1024  # characters of a key's text value

Text = Annotated[
    str,
    Meta(
        max_length=MAX_TEXT,
        pattern=r"^[\x20-\x7e]*\Z",
        description=f"printable ASCII, at most {MAX_TEXT} characters",
    ),
]
FullText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT,
        pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z",
        description=f"printable ASCII without blanks at its ends, 1 to {MAX_TEXT} characters",
    ),
]
ClaimValue = Annotated[
    str,
    Meta(
        pattern=rf"^[^\x00-\x1f\x7f]{{1,{MAX_TEXT}}}\Z",
        description=f"1 to {MAX_TEXT} characters, none of them a control character",
    ),
]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
        description="1 to 64 letters, digits, dots, underscores or hyphens",
    ),
]
NamePattern = Annotated[
    str,
    Meta(
        pattern=r"^[\x20-\x7e]{1,256}\Z",
        description="a shell pattern, printable ASCII, 1 to 256 characters",
    ),
]
FilePath = Annotated[
    str, Meta(pattern=r"^/[^\x00]*\Z", max_length=4096, description="an absolute path")
]
OptionalPath = Annotated[
    str, Meta(pattern=r"^(/[^\x00]*)?\Z", max_length=4096, description="an absolute path or empty")
]
# A colon would fit nowhere (passwd(5)); a directory's names may have blanks inside.
_ACCOUNT = r"[\x21-\x39\x3b-\x7e]([\x20-\x39\x3b-\x7e]*[\x21-\x39\x3b-\x7e])?"
AccountName = Annotated[
    str,
    Meta(
        pattern=rf"^{_ACCOUNT}\Z",
        max_length=256,
        description="a user's or group's name or number",
    ),
]
OptionalName = Annotated[
    str,
    Meta(
        pattern=rf"^({_ACCOUNT})?\Z",
        max_length=256,
        description="a group's name or number, or empty",
    ),
]
Number = Annotated[int, Meta(ge=0, le=2**32 - 2)]
Account = AccountName | Number
OptionalAccount = OptionalName | Number
Port = Annotated[int, Meta(ge=1, le=65535, description="between 1 and 65535")]
Count = Annotated[int, Meta(ge=1, le=100_000, description="between 1 and 100000")]
MessageSize = Annotated[
    int, Meta(ge=65536, le=2**31 - 1, description="between 65536 and 2147483647 bytes")
]
Memory = Annotated[
    int, Meta(ge=134_217_728, le=2**50, description="between 134217728 and 2^50 bytes")
]
Part = Annotated[float, Meta(gt=0, lt=1, description="between 0 and 1")]
PartOrNone = Annotated[float, Meta(ge=0, lt=1, description="at least 0 and below 1")]
Wait = Annotated[float, Meta(gt=0, le=600, description="above 0 and at most 600 seconds")]
Skew = Annotated[float, Meta(ge=0, le=600, description="between 0 and 600 seconds")]
Span = Annotated[float, Meta(gt=0, le=1e9, description="above 0 and at most 1e9 seconds")]
SpanOrNever = Annotated[float, Meta(ge=0, le=1e9, description="between 0 and 1e9 seconds")]

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
]  # fmt: skip
IdTokenClaim = Literal["nonce", "at_hash", "c_hash", "s_hash"]
Kind = Literal["oidc", "entra"]
Verify = Literal["jwt", "introspection", "userinfo", "plugin"]
ClientAuth = Literal["basic", "post", "private_key_jwt", "none"]
Rotation = Literal["strict", "tolerant"]
Groups = Literal["token", "graph"]
LogFormat = Literal["json", "console", "journald"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


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


class RoleSourceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[role_source]]` table. Times are seconds."""

    plugin: Name  # the entry point's name
    name: Name = ""  # unique; as read from a file never empty: if left out, the plugin's
    issuers: tuple[Name, ...] = ()  # empty: all
    deadline: Wait = 1.0
    cache: SpanOrNever = 60.0
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
    issuers: tuple[IssuerConfig, ...]
    subscribers: tuple[SubscriberConfig, ...] = ()
    role_sources: tuple[RoleSourceConfig, ...] = ()
