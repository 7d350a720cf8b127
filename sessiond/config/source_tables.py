"""What a `[[source]]` table holds: a token that q processes and programs here may ask for."""

from msgspec import Struct

from sessiond.config.value_types import (
    Account,
    ClientAuth,
    FullText,
    Name,
    NamePattern,
    OptionalPath,
    ScopeOrNone,
    SourceGrantType,
    SpanOrNever,
    Text,
)


class SourceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[source]]` table. Whose token it is says `grant`; `min_validity` is seconds."""

    name: Name
    issuer: Text = ""  # an issuer's name: its discovery and TLS; empty: token_endpoint
    token_endpoint: Text = ""
    grant: SourceGrantType = "client_credentials"
    client_id: FullText
    client_auth: ClientAuth = "basic"
    client_secret_file: OptionalPath = ""
    refresh_token_file: OptionalPath = ""  # where grant is refresh_token: the first one
    username: Text = ""  # where grant is password
    password_file: OptionalPath = ""
    scope: ScopeOrNone = ""
    resource: Text = ""  # RFC 8707
    audience: Text = ""  # RFC 8693, 2.1; Auth0's for its other grants
    min_validity: SpanOrNever = 60.0
    processes: tuple[NamePattern, ...] = ()  # who may ask over the kdb+ socket
    readers: tuple[Account, ...] = ()  # users or @groups, over the control socket
    ca_file: OptionalPath = ""
    insecure_http: bool = False
