"""A sign-in that is begun. The browser keeps it, sealed, until the issuer sends it back.

So those that are never finished keep nothing here, however many there are. Nobody can read one,
change it, make one, or use it at another base than that which it was begun at.
"""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol, Self

import msgspec

from sessiond.core.errors import SessiondError
from sessiond.core.secret import Secret
from sessiond.core.web_login import SIGN_IN_LASTS
from sessiond.web.base import Base
from sessiond.web.cookies import (
    SIGN_IN_SLOTS,
    RepeatedCookie,
    sign_in_cookie,
    value_of,
)
from sessiond.web.target import Target

MAX_COOKIE = 4000  # characters; browsers keep none of more than 4 KiB

_STATE = re.compile(rf"([0-{SIGN_IN_SLOTS - 1}])[A-Za-z0-9_-]{{43}}")
_SEALED = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_COOKIE}}}")


class Sealing(Protocol):
    """Seals for one place, as `sessiond.store.sealing.KeyRing` does."""

    def seal(
        self, plain: Secret, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> bytes:
        """Return it sealed for this place alone."""
        ...

    def unseal(
        self, sealed: bytes, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> Secret:
        """Return what was sealed for this place.

        Raises:
            SessiondError: It was not, or not by us.
        """
        ...


class _Members(msgspec.Struct, frozen=True, array_like=True):
    """As it is sealed: small, since each request of the browser carries it until it is over."""

    state: str
    nonce: str
    verifier: str
    way_back: str
    is_meant: bool
    issuer: str
    made_at: int  # seconds, Unix


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What has to be known again when the issuer sends the browser back."""

    state: str = field(repr=False)  # 256 random bits, after the number of its slot (RFC 9700, 4.7)
    nonce: str = field(repr=False)
    verifier: Secret  # RFC 7636
    way_back: str  # the local path that was wanted
    is_meant: bool  # by the person himself, as far as his browser says: no other site sent him
    issuer: str  # the configured name of whom it was sent to: an answer of another is refused
    made_at: datetime

    @property
    def slot(self) -> int:
        """Which of the browser's cookies it is in."""
        return int(self.state[0])

    @property
    def again(self) -> str:
        """Where a button leads that begins anew: to no query that another site has thought of."""
        if self.is_meant:
            return self.way_back
        target = Target.of(self.way_back)
        return "/" if replace(target, query="").may_ask else target.path

    def sealed(self, base: Base, sealing: Sealing) -> str:
        """Return the cookie's value."""
        members = _Members(
            self.state,
            self.nonce,
            self.verifier.reveal(),
            self.way_back,
            self.is_meant,
            self.issuer,
            int(self.made_at.timestamp()),
        )
        plain = Secret(msgspec.json.encode(members).decode())
        sealed = sealing.seal(plain, **_place(base))
        return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")

    @classmethod
    def opened(cls, value: str, base: Base, sealing: Sealing, *, now: datetime) -> Self | None:
        """Return what a cookie holds; None: it is not ours, of another base, or too old."""
        if not _SEALED.fullmatch(value):
            return None
        try:
            sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            plain = sealing.unseal(sealed, **_place(base))
        except (binascii.Error, SessiondError):
            return None
        members = msgspec.json.decode(plain.reveal(), type=_Members)
        made_at = datetime.fromtimestamp(members.made_at, UTC)
        if now - made_at >= SIGN_IN_LASTS:
            return None
        return cls(
            state=members.state,
            nonce=members.nonce,
            verifier=Secret(members.verifier),
            way_back=members.way_back,
            is_meant=members.is_meant,
            issuer=members.issuer,
            made_at=made_at,
        )

    @classmethod
    def sent(
        cls, header: str, base: Base, slot: int, sealing: Sealing, *, now: datetime
    ) -> Self | None:
        """Return what a slot's cookie holds; None where there is none, or are two."""
        try:
            value = value_of(header, sign_in_cookie(base, slot))
        except RepeatedCookie:
            return None
        return None if value is None else cls.opened(value, base, sealing, now=now)

    def has_state(self, state: str) -> bool:
        """Say whether an answer is to this sign-in, in time that does not tell how nearly."""
        return hmac.compare_digest(self.state.encode(), state.encode(errors="replace"))


def slot_of(state: str) -> int | None:
    """Return which cookie a state belongs to; None: it is none of ours."""
    found = _STATE.fullmatch(state)
    return int(found[1]) if found else None


def _place(base: Base) -> dict[str, str]:
    return {"table": "web", "column": "signin", "row": base.url, "issuer": "", "subject": ""}
