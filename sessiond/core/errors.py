"""One class for each reaction: the docstring is the order to whoever catches it."""

from enum import StrEnum


class Refusal(StrEnum):
    """Why a login or a renewal was refused: the `reason` that q gets."""

    NOTTOKEN = "nottoken"  # a plain password: goes to no issuer
    MALFORMED = "malformed"
    BADSIGNATURE = "badsignature"
    WRONGTYPE = "wrongtype"  # an id_token, app-only or refresh token, or the wrong `typ`
    EXPIRED = "expired"
    NOTYET = "notyet"
    INACTIVE = "inactive"  # the issuer says so
    WRONGISSUER = "wrongissuer"
    WRONGAUDIENCE = "wrongaudience"
    WRONGSCOPE = "wrongscope"
    USERMISMATCH = "usermismatch"
    NOROLES = "noroles"
    NOTALLOWED = "notallowed"  # not at this process
    STEPUP = "stepup"  # the user must sign in again, or otherwise (RFC 9470)
    REVOKED = "revoked"
    UNAVAILABLE = "unavailable"
    THROTTLED = "throttled"
    TOOLARGE = "toolarge"
    DEADLINE = "deadline"


class SessiondError(Exception):
    """Base of every error sessiond raises on purpose."""


class ConfigError(SessiondError):
    """The operator must act: refuse to start, exit 78 (EX_CONFIG)."""


class NotNowError(ConfigError):
    """It does not go now, and may later: exit 75 (EX_TEMPFAIL), so that it is tried again.

    Of a user or group nobody can tell one that does not exist from one whose directory is not up
    yet. While the daemon runs it is a ConfigError like any other: the new file changes nothing.
    """


class AddressInUseError(SessiondError):
    """Somebody else holds a socket or the database: refuse to start, exit 73 (EX_CANTCREAT)."""


class InTheWayError(SessiondError):
    """What would be made is there already, and is not ours to replace: exit 73 (EX_CANTCREAT)."""


class ProtocolError(SessiondError):
    """The peer broke kdb+ IPC: close that connection, keep serving the others."""


class CallError(SessiondError):
    """The call was wrong: answer it with this text as a q error and keep the connection."""


class TokenRejected(SessiondError):  # noqa: N818 - a verdict, not a fault
    """Final for this token: refuse with `reason`, never try it again."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail  # for the log; never a part of the token


class IssuerUnavailable(SessiondError):  # noqa: N818 - a state of the issuer
    """No verdict now: refuse logins as unavailable, keep live sessions, try again with backoff."""


class IssuerThrottled(IssuerUnavailable):
    """The issuer said 429 or Retry-After: as unavailable, and not before `retry_after`."""

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after  # seconds


class UnusableAnswer(IssuerUnavailable):
    """The issuer answered, and with no verdict: as unavailable, but it is not away.

    So nobody else is kept from asking it. Whoever can put one call off obeys `retry_after`.
    """

    def __init__(self, detail: str, *, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after  # seconds


class ClientRefused(UnusableAnswer):
    """The issuer does not take our own client's word: as unusable, and an operator must act."""


class RefreshRefused(SessiondError):  # noqa: N818 - a verdict, not a fault
    """The issuer refused the refresh token: end its sessions now, never send it again.

    `error` is the OAuth error code (RFC 6749, 5.2), the only thing that was decided on; `said` is
    that with whatever numbers the issuer put beside it, for the log.
    """

    def __init__(self, error: str, *, said: str = "") -> None:
        self.error = error
        self.said = said or error
        super().__init__(f"the issuer refused the refresh token: {self.said}")


class SignInRefused(SessiondError):  # noqa: N818 - a verdict, not a fault
    """The issuer did not let the person in, or refused the code: say why, and begin anew.

    `error` is the OAuth error code (RFC 6749, 4.1.2.1 and 5.2), the only thing that is decided on.
    """

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(f"the issuer says {error}{description and f': {description}'}")
        self.error = error


class StoreError(SessiondError):
    """Nothing of this batch is on disk: tell those who asked, keep what was there before."""


class TableClosed(StoreError):  # noqa: N818 - a state of the daemon
    """The daemon stops and takes nothing more: it did not happen, and no other try will do."""


class TryLater(SessiondError):  # noqa: N818 - a state of the world
    """A subscriber's: what it writes to is away, and no event is to blame. Count no attempt."""
