"""The plugin's keys of a `[[subscriber]]` table."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec

from sessiond.api import Event
from sessiond_webhook.target import url_fault

Format = Literal["cloudevents", "chat"]
KINDS: Final = tuple(str(each.__struct_config__.tag) for each in get_args(Event))

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_SOURCE: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # RFC 3986, 2
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_VALUE: Final = re.compile(r"[!-~]+(?:[ \t]+[!-~]+)*")  # RFC 9110, 5.5
_OURS: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_SECRET: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where events go, how they look, how they are signed, and how long to try."""

    url: str = ""  # either this or url_file
    url_file: str = ""  # its only line is the URL, where that is a secret in itself
    format: Format = "cloudevents"
    source: str = "/sessiond"  # CloudEvents' source: which sessiond tells this
    kinds: tuple[str, ...] = ()  # shell patterns; empty = all
    batch: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1  # events in one request
    secret_file: str = ""  # a whsec_ secret a line, all of which sign
    authorization_file: str = ""  # its only line is the Authorization header's value
    headers: dict[str, str] = {}  # more headers, no secret among them
    ca_file: str = ""  # the only authorities to trust; empty = the machine's
    insecure_http: bool = False  # let http:// be, where the host is this machine
    timeout: _Seconds = 5.0  # for one request
    patience: _Seconds = 20.0  # for all tries of one delivery; less than sessiond's `deadline`

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.url_file):
            raise ValueError("url or url_file must be given, and not both")
        if self.url and (fault := url_fault(self.url, insecure_http=self.insecure_http)):
            raise ValueError(f"url {fault}")
        for key in ("url_file", "secret_file", "authorization_file", "ca_file"):
            path = getattr(self, key)
            if path and (not Path(path).is_absolute() or "\0" in path):
                raise ValueError(f"{key} must be an absolute path")
        if self.format == "cloudevents" and not (self.secret_file or self.authorization_file):
            raise ValueError(
                "secret_file or authorization_file must be given: "
                "a receiver that cannot tell who sends must not believe it"
            )
        if not _SOURCE.fullmatch(self.source):
            raise ValueError("source must be a URI reference (RFC 3986)")
        _check_kinds(self.kinds)
        _check_headers(self.headers)


def _check_kinds(patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(kind, pattern) for kind in KINDS):
            raise ValueError(f"kinds has {pattern!r}, which is no event's: {', '.join(KINDS)}")


def _check_headers(headers: dict[str, str]) -> None:
    names = [name.lower() for name in headers]
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or names.count(name.lower()) > 1:
            raise ValueError(f"headers has {name!r}, which is no header's name, or comes twice")
        if name.lower() in _OURS:
            raise ValueError(f"headers has {name!r}, which the plugin sets itself")
        if name.lower() in _SECRET:
            raise ValueError(f"headers has {name!r}: secrets belong in authorization_file")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"headers.{name} must be printable ASCII on one line")
