"""Whether a presented ticket is one of ours, for this process and this user, now.

All that the ticket itself can show. Whether it was spent, and whether its parent lives, only the
table knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sessiond.core.compact import CompactToken, Stated, decoded, is_canonical
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.principal import folded, same_name
from sessiond.core.printable import any_of, seen
from sessiond.tickets.audience import name_of
from sessiond.tickets.claims import ALGORITHM, TYPE, TicketClaims, claims_of
from sessiond.tickets.settings import TicketSettings

TicketCheck = Literal["shape", "type", "issuer", "signature", "time", "audience", "user"]
CHECKS: tuple[TicketCheck, ...] = get_args(TicketCheck)

_HEADER = frozenset({"alg", "kid", "typ"})  # all that ours has: nothing else is to be understood
_OFF = "tickets are off here, wanted an access token: configure [tickets], or sign in at the issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedAt:
    """Where a ticket was presented, when, and by whom."""

    process: str | None  # the name that it says in `hello`; None: any may have been meant
    typed: str  # the name beside it
    now: datetime


class TicketReading:
    """One ticket, check by check in the order of `CHECKS`."""

    def __init__(
        self,
        ticket: CompactToken,
        settings: TicketSettings | None,
        keys: Mapping[str, bytes],
        at: PresentedAt,
        passed: list[TicketCheck] | None = None,
    ) -> None:
        """Judge nothing yet.

        Args:
            ticket: Without its mark.
            settings: Those of now; None: there are no tickets here.
            keys: The public keys that count, by `kid`.
            at: Where it was presented.
            passed: Filled with the checks that it has passed.
        """
        self._ticket = ticket
        self._settings = settings
        self._keys = keys
        self._at = at
        self._passed: list[TicketCheck] = [] if passed is None else passed

    def read(self) -> TicketClaims:
        """Return what the ticket says, once all of it was checked.

        Raises:
            TokenRejected: MALFORMED, WRONGTYPE, WRONGISSUER, BADSIGNATURE, EXPIRED, NOTYET,
                WRONGAUDIENCE or USERMISMATCH, whichever is found first.
        """
        header, stated = self._header(), self._stated()
        self._passed.append("shape")
        kid = _checked_header(header)
        self._passed.append("type")
        settings = self._issuer_settings(stated)
        self._passed.append("issuer")
        self._check_signature(kid)
        self._passed.append("signature")
        claims = claims_of(stated)
        if claims is None:
            raise _malformed(
                "it is signed, and has other claims than a ticket", "one of this sessiond's version"
            )
        for check, judge in _JUDGES.items():
            judge(claims, settings, self._at)
            self._passed.append(check)
        return claims

    def _header(self) -> Stated:
        part = self._ticket.header_part
        header = self._ticket.stated_header if is_canonical(part) else None
        if header is None:
            raise _malformed("its header is no strict JSON object", "it as it was made")
        return header

    def _stated(self) -> Stated:
        parts = (self._ticket.payload_part, self._ticket.signature_part)
        stated = self._ticket.stated_claims if all(map(is_canonical, parts)) else None
        if stated is None:
            raise _malformed(
                "its payload is no strict JSON object, or base64url has bits left over",
                "it as it was made",
            )
        return stated

    def _issuer_settings(self, stated: Stated) -> TicketSettings:
        if self._settings is None:
            raise TokenRejected(Refusal.WRONGISSUER, _OFF)
        issuer = stated.get("iss")
        if issuer != self._settings.issuer:
            saw = seen(issuer) if "iss" in stated else "missing"
            raise TokenRejected(
                Refusal.WRONGISSUER,
                f"iss of the ticket is {saw}, wanted {seen(self._settings.issuer)}, which is this "
                "daemon: a ticket opens a session at the host that has made it, and there alone",
            )
        return self._settings

    def _check_signature(self, kid: str) -> None:
        public = self._keys.get(kid)
        if public is None:
            raise TokenRejected(
                Refusal.BADSIGNATURE,
                f"kid of the ticket is {seen(kid)}, wanted one of {any_of(self._keys) or 'none'}: "
                "it is old, or another daemon's of that name; ask for another ticket",
            )
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(
                decoded(self._ticket.signature_part), self._ticket.signing_input
            )
        except InvalidSignature:
            raise TokenRejected(
                Refusal.BADSIGNATURE,
                "the ticket's signature does not hold, wanted it whole and as it was made: ask for "
                "another ticket",
            ) from None


def _checked_header(header: Stated) -> str:
    """Return the `kid` of a header that is ours in every member."""
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if typ != TYPE or alg != ALGORITHM:
        raise TokenRejected(
            Refusal.WRONGTYPE,
            f"typ of the ticket is {seen(typ)} and alg {seen(alg)}, wanted {TYPE} and {ALGORITHM}: "
            "what follows ticket: is a ticket of sessiond's, and no other token",
        )
    if header.keys() != _HEADER or not isinstance(kid, str):
        others = any_of(header.keys() - _HEADER) or "no kid"
        raise _malformed(f"its header has {others}", "alg, kid and typ alone")
    return kid


def _check_time(claims: TicketClaims, settings: TicketSettings, at: PresentedAt) -> None:
    """Refuse what is over, at its end already, or from a clock that is ahead."""
    now = at.now.timestamp()
    if claims.exp <= now:
        raise TokenRejected(
            Refusal.EXPIRED,
            f"the ticket ran out at {_moment(claims.exp)}, {now - claims.exp:.1f} s ago, wanted it "
            "before: ask for another when you connect, or raise tickets.lifetime",
        )
    if claims.iat > now + settings.leeway.total_seconds():
        raise TokenRejected(
            Refusal.NOTYET,
            f"the ticket was made at {_moment(claims.iat)}, which is ahead of this clock, wanted a "
            "moment before now: see whether the clock was set back",
        )


def _check_audience(claims: TicketClaims, settings: TicketSettings, at: PresentedAt) -> None:
    meant = name_of(claims.aud, settings.host)
    if meant is None or (at.process is not None and folded(meant) != folded(at.process)):
        raise TokenRejected(
            Refusal.WRONGAUDIENCE,
            f"the ticket is for {seen(claims.aud)}, and was presented at {seen(at.process)}, "
            "wanted it at the process that it is for: ask for one with the name that this process "
            "says to sessiond",
        )
    if not settings.may_be_for(meant):  # so perhaps nobody guards the name any more, either
        raise TokenRejected(
            Refusal.WRONGAUDIENCE,
            f"the ticket is for {seen(claims.aud)}, which tickets.audiences does not match any "
            "more, wanted one that it does: add it there, or sign in there",
        )


def _check_user(claims: TicketClaims, settings: TicketSettings, at: PresentedAt) -> None:
    if not same_name(at.typed, claims.name):
        raise TokenRejected(
            Refusal.USERMISMATCH,
            f"the typed name is {seen(at.typed)}, wanted {seen(claims.name)}, whom the ticket is "
            "for: type that one",
        )


_JUDGES: dict[TicketCheck, Callable[[TicketClaims, TicketSettings, PresentedAt], None]] = {
    "time": _check_time,
    "audience": _check_audience,
    "user": _check_user,
}


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return "a moment beyond all calendars"


def _malformed(saw: str, wanted: str) -> TokenRejected:
    return TokenRejected(
        Refusal.MALFORMED,
        f"the ticket is not in order: {saw}, wanted {wanted}: ask for another ticket",
    )
