"""What `[web]` and `[issuer.web]` hold: where people come by the browser, and how they sign in."""

from msgspec import Struct

from sessiond.config.value_types import (
    FullText,
    OptionalPath,
    ParameterName,
    ParameterValue,
    ScopeText,
    Span,
)


class WebClientConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[issuer.web]` table: the client that browsers sign in with."""

    client_id: FullText
    client_secret_file: OptionalPath = ""  # without a credential either: a public client
    scope: ScopeText = "openid profile session.login"
    parameters: dict[ParameterName, ParameterValue] = {}  # added to the authorization request


class WebConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[web]` table. Times are seconds; they count for bearers too, which need no base."""

    bases: tuple[FullText, ...] = ()  # origins that q answers at
    session: Span = 28_800.0
    idle: Span = 3600.0  # without a request
