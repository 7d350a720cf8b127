"""A token exchange as it is asked for (RFC 8693, 2.1), and the errors that may be its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn
from urllib.parse import parse_qsl

from sessiond.core.secret import Secret

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
MAX_FORM = 131_072  # bytes: the longest token, with each of its characters escaped
MAX_FIELDS = 100
MAX_AUDIENCE = 512  # characters: a name, and a host's

_SUBJECT_TYPES = (ACCESS_TOKEN, JWT)
_SEVERAL = ("audience", "resource")  # that may be there more than once (RFC 8693, 2.1)


class ExchangeError(StrEnum):
    """The `error` of a refusal."""

    INVALID_REQUEST = "invalid_request"  # RFC 6749, 5.2; a bad subject token too (RFC 8693, 2.2.2)
    INVALID_TARGET = "invalid_target"  # RFC 8693, 2.2.2
    INVALID_SCOPE = "invalid_scope"  # RFC 6749, 5.2, as the others
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"  # RFC 6749, 4.1.2.1; beside 503


class ExchangeRefused(Exception):  # noqa: N818 - an answer, not a fault
    """Answer the exchange with this. The description is for people, and has nothing secret.

    It is plain ASCII without quotes (RFC 6749, 5.2).
    """

    def __init__(self, error: ExchangeError, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRequest:
    """What is asked for: a ticket for one process, in the name of the token's user."""

    subject_token: Secret
    is_jwt: bool  # said to be one
    audience: str


def read_request(form: bytes) -> ExchangeRequest:
    """Return what a form asks for (application/x-www-form-urlencoded).

    Parameters that are not understood are ignored, and empty ones count as left out (RFC 6749,
    3.2). Nothing of what was sent is in an error but the names of parameters.

    Raises:
        ExchangeRefused: It is no exchange that is done here.
    """
    given = _parameters(form)
    grant_type = given.get("grant_type")
    if grant_type is None:
        _refuse("grant_type is missing, wanted that of token exchange")
    if grant_type != [GRANT_TYPE]:
        _refuse(f"wanted grant_type {GRANT_TYPE}", ExchangeError.UNSUPPORTED_GRANT_TYPE)
    for name in ("actor_token", "actor_token_type"):
        if name in given:
            _refuse(f"{name} is there, wanted none: a ticket is for the subject alone")
    if "scope" in given:
        _refuse("scope is there, wanted none: a ticket has no scope", ExchangeError.INVALID_SCOPE)
    if given.get("requested_token_type", [JWT]) != [JWT]:
        _refuse(f"wanted requested_token_type {JWT}, or none")
    subject_token, kind = given.get("subject_token"), given.get("subject_token_type")
    if subject_token is None or kind is None:
        _refuse("subject_token or subject_token_type is missing, wanted both")
    if kind[0] not in _SUBJECT_TYPES:
        _refuse(f"wanted subject_token_type {' or '.join(_SUBJECT_TYPES)}")
    return ExchangeRequest(
        subject_token=Secret(subject_token[0]), is_jwt=kind == [JWT], audience=_audience(given)
    )


def _audience(given: Mapping[str, list[str]]) -> str:
    target = ExchangeError.INVALID_TARGET
    if "resource" in given:
        _refuse("resource is there, wanted audience: the name of a q process", target)
    audiences = given.get("audience", [])
    if len(audiences) != 1:
        _refuse(f"{len(audiences)} audiences, wanted one: a ticket is for one q process", target)
    if len(audiences[0]) > MAX_AUDIENCE or not audiences[0].isprintable():
        _refuse(f"audience must be printable, of at most {MAX_AUDIENCE} characters", target)
    return audiences[0]


def _parameters(form: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(form.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:  # UnicodeError is one too
        _refuse("the body is no form of at most 100 parameters in UTF-8, wanted one")
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in given and name not in _SEVERAL:
            _refuse("a parameter is there twice, wanted each once")
        given.setdefault(name, []).append(value)
    return given


def _refuse(description: str, error: ExchangeError = ExchangeError.INVALID_REQUEST) -> NoReturn:
    raise ExchangeRefused(error, description)
