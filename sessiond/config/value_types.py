"""The kinds of values that keys have: each with its range, in the words of error messages.

A path is absolute; an empty one means what `config.example.toml` says beside it. The
descriptions are the ends of error messages: "refresh.share is 1.2, must be DESCRIPTION".
"""

from typing import Annotated, Literal

from msgspec import Meta

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
ParameterName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,64}\Z",  # RFC 6749, A: param-name
        description="1 to 64 letters, digits, dots, underscores or hyphens",
    ),
]
ParameterValue = Annotated[
    str,
    Meta(
        pattern=rf"^[\x20-\x7e]{{1,{MAX_TEXT}}}\Z",
        description=f"printable ASCII, 1 to {MAX_TEXT} characters",
    ),
]
ScopeOrNone = Annotated[
    str,
    Meta(
        max_length=MAX_TEXT,
        pattern=r"^([!#-\[\]-~]+( [!#-\[\]-~]+)*)?\Z",
        description=f"scopes with one blank between them, at most {MAX_TEXT} characters, or empty",
    ),
]
ScopeText = Annotated[
    str,
    Meta(
        max_length=MAX_TEXT,
        pattern=r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*\Z",  # RFC 6749, 3.3
        description=f"scopes with one blank between them, at most {MAX_TEXT} characters",
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
Contexts = Annotated[int, Meta(ge=1, le=10_000, description="between 1 and 10000")]
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
TicketIssuer = Annotated[
    str,
    Meta(
        max_length=256,
        pattern=r"^([A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+|[\x21-\x39\x3b-\x7e]*)\Z",
        description="printable ASCII without blanks, a URI where it has a colon (RFC 7519, 2), or "
        "empty, at most 256 characters",
    ),
]
TicketLifetime = Annotated[float, Meta(ge=1, le=300, description="between 1 and 300 seconds")]
TicketDepth = Annotated[int, Meta(ge=1, le=16, description="between 1 and 16")]
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
SourceGrantType = Literal["client_credentials", "refresh_token", "on_behalf_of", "password"]
LogFormat = Literal["json", "console", "journald"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
