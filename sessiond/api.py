"""All that a plugin may import, beside `sessiond.qipc` and, in tests, `sessiond.testing`."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sessiond.core.access import Access, AccessRules, Because, Ceiling, LocalGrant, access_at
from sessiond.core.errors import (
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    TryLater,
    UnusableAnswer,
)
from sessiond.core.events import (
    Event,
    Gap,
    LoginRefused,
    Operator,
    OperatorAuthorized,
    OperatorEvent,
    OperatorForgave,
    OperatorForgot,
    OperatorReloaded,
    OperatorRevoked,
    SessionClosed,
    SessionEvent,
    SessionExpired,
    SessionOpened,
    SessionRefreshed,
    SessionRenewed,
    SessionRevoked,
    SessionRolesChanged,
    SourceIssued,
    from_json,
    to_json,
)
from sessiond.core.granted import Granted
from sessiond.core.lease import Lease
from sessiond.core.plugin_settings import SettingsError, settings_of
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout
from sessiond.core.verdict import Verdict
from sessiond.trusted_file import TrustedFile, TrustedFileError

__all__ = [
    "API_VERSION",
    "Access",
    "AccessRules",
    "BatchSubscriber",
    "Because",
    "Ceiling",
    "ConfigError",
    "Event",
    "Gap",
    "Granted",
    "IssuerAbout",
    "IssuerThrottled",
    "IssuerUnavailable",
    "Lease",
    "LocalGrant",
    "LoginRefused",
    "Operator",
    "OperatorAuthorized",
    "OperatorEvent",
    "OperatorForgave",
    "OperatorForgot",
    "OperatorReloaded",
    "OperatorRevoked",
    "Principal",
    "ProcessAbout",
    "Refusal",
    "RoleSource",
    "Secret",
    "SessionClosed",
    "SessionEvent",
    "SessionExpired",
    "SessionOpened",
    "SessionRefreshed",
    "SessionRenewed",
    "SessionRevoked",
    "SessionRolesChanged",
    "SettingsError",
    "SourceIssued",
    "Subscriber",
    "TokenRejected",
    "TrustedFile",
    "TrustedFileError",
    "TryLater",
    "UnusableAnswer",
    "Verdict",
    "Verifier",
    "access_at",
    "from_json",
    "settings_of",
    "to_json",
]

API_VERSION = 1  # higher when a plugin written for a lower one would have to change


class Subscriber(Protocol):
    """Is told what happens, one event at a time, in order, each at least once.

    Made by its entry point (group `sessiond.subscribers`) from the settings in its
    `[[subscriber]]` table, in a process of its own that holds no key and no token. It may also
    have `start()`, called before the first event, and `stop()`, called after the last, which
    has 5 seconds. Each method may be plain (it runs in a thread and may block) or async (anyio).
    """

    def receive(self, event: Event) -> Awaitable[None] | None:
        """Do what is to be done about an event; returning says that it is done with.

        Raising anything means "again, later": after a while the same event comes again, and
        none before it has gone. One that failed too often (`[events] max_attempts`) is set
        aside. `TryLater` means that no event is to blame (a full disk, a server that is down):
        it comes again for as long as that lasts, and is not set aside. Who takes longer than
        `deadline` is killed and started anew.
        """
        ...


class BatchSubscriber(Protocol):
    """As a `Subscriber`, for whoever is faster with several events in one go."""

    batch: int  # events at a time at most

    def receive_batch(self, events: Sequence[Event]) -> Awaitable[None] | None:
        """Receive 1 to `batch` events, all of them or, by raising, none.

        Those of a batch that failed come again one by one, so that only the bad one stays back.
        """
        ...


class Verifier(Protocol):
    """Says whether one issuer's access tokens are good for this daemon.

    Called from many tasks at once, any of which may be cancelled. A plugin's is what its entry
    point in `sessiond.verifiers` returns, called in a worker thread with `issuer`, an
    `IssuerAbout`, and the keys of `[issuer.settings]`. It may have a `stop()`, plain or async,
    called when the daemon stops or the configuration has changed. It must block nobody: what it
    does without awaiting holds up every login. No call may take longer than `issuer.timeout`,
    and what a token says must never make it raise anything but the errors below: an OSError is
    taken as an issuer that is away, and three of those in a row, confirmed by a trial call, open
    its breaker; any other is "no verdict" for that login alone.
    """

    @property
    def is_online(self) -> bool:
        """True when each token costs a call to the issuer (introspection, userinfo)."""
        ...

    def needs_call(self, token: Secret) -> bool:
        """Say whether verifying this token now means a call to the issuer.

        Always where `is_online`; for a signed token only when none of the keys at hand can have
        signed it and they may be fetched again. Where False, `verify` answers without waiting.
        """
        ...

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the token proves.

        Args:
            token: The access token alone.
            now: The wall time to judge by.
            expires_in: Seconds from now, where a token endpoint has stated them (RFC 6749, 5.1).

        Raises:
            TokenRejected: Final for this token.
            IssuerUnavailable: No verdict; sessiond asks again later.
            IssuerThrottled: The same, and not before `retry_after` seconds.
            UnusableAnswer: No verdict either, but the issuer has answered: it is not away.
        """
        ...

    def still_valid(self, verdict: Verdict) -> bool:
        """Say whether an earlier verdict still stands: False once its key was withdrawn."""
        ...

    async def probe(self) -> None:
        """Make one trial call that needs no user's token, to learn whether the issuer answers.

        Raises:
            IssuerUnavailable: It does not.
        """
        ...


class IssuerAbout(Protocol):
    """What the `[[issuer]]` table says, for the verifier that a plugin brings."""

    @property
    def name(self) -> str:
        """What logs and sessions call the issuer: a verdict's `principal.issuer`."""
        ...

    @property
    def issuers(self) -> frozenset[str]:
        """The `iss` values of its tokens."""
        ...

    @property
    def audience(self) -> frozenset[str]:
        """What `aud` must have one of; where it is empty, `verdict` does not look at `aud`."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds that one call to the verifier may take."""
        ...

    @property
    def leeway(self) -> timedelta:
        """Excused for `nbf` and `iat`, never for `exp`."""
        ...

    def verdict(
        self,
        claims: Mapping[str, object],
        *,
        now: datetime,
        expires_in: float | None = None,
        key_id: str | None = None,
    ) -> Verdict:
        """Return what claims amount to that the verifier knows to be true.

        So `issuer`, `audience`, `user_claim`, `roles_claim` and the other keys mean the same for
        every verifier.

        Args:
            claims: In JWT's terms (RFC 7519, 4.1): `iss` must be there, and `exp`, `nbf` and `iat`
                are numbers of seconds since 1970 where they are.
            now: As given to `verify`.
            expires_in: As given to `verify`.
            key_id: Of the key that signed the claims: `still_valid` finds it in the verdict.

        Raises:
            TokenRejected: WRONGISSUER, WRONGAUDIENCE, WRONGSCOPE, EXPIRED, NOTYET, or MALFORMED:
                no usable name, subject or date. Whether roles are enough shows later.
        """
        ...


class RoleSource(Protocol):
    """Knows roles and attributes of users that their tokens do not bring.

    What an entry point in `sessiond.role_sources` returns, called in a worker thread with the
    keys of its `[[role_source]]` table that are not sessiond's. It may have a `stop()`, as a
    verifier's. An answer is checked before it is believed, shared by all who wait for it, and
    kept for `cache` seconds.
    """

    def roles(self, principal: Principal, *, now: datetime) -> Granted | Awaitable[Granted]:
        """Return what the user has, asked at login and again at every refresh and renewal.

        Plain or async; a plain one runs in a worker thread, several at once. An answer that is
        not there within `deadline` seconds, and every error but the first below, leaves the
        login without a verdict: a user never gets in with fewer roles than he has.

        Raises:
            TokenRejected: The user must not log in at all, whatever his token says.
            IssuerUnavailable: The source cannot tell now.
            IssuerThrottled: The same, and not before `retry_after` seconds.
        """
        ...
