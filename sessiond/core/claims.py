"""From an issuer's claims to a verdict: the name, the subject, the lease, roles and attributes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from sessiond.core.authentication_claims import MAX_DATE, acr_of, auth_time_of, is_overage
from sessiond.core.claim_values import MAX_ATTRIBUTE_SIZE, Claims, claim_at, text_of, values_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.evidence import DEFAULT, MAX_WHYS, Evidence, bounded, short
from sessiond.core.lease import Lease, lease_of
from sessiond.core.principal import Principal, is_name
from sessiond.core.printable import any_of, seen
from sessiond.core.verdict import Verdict

MAX_EXPIRES_IN = 10 * 366 * 86400.0  # seconds; longer is no longer than this
MAX_NAMED = 500  # roles of a session that are called as the issuer says
MAX_COMPARED = 100_000  # characters of a token's values, each time that a pattern is tried on them
_EACH = 10  # characters that it takes as long to try any value at all
_NUMBER = (int, float)
_MAX_CLAIMS = 12  # names of claims that a message lists

# What says whether an e-mail address is the user's: OpenID Connect Core, 5.1; Entra's optional
# claim, for the owner of the address's domain. Some write them as text.
_EMAIL_VERIFIED = ("email_verified", "xms_edov")
_GROUPS = frozenset({"groups", "/groups"})  # as roles_claim may call the claim
_YES = (True, "true", "1")  # a 1 is equal to True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """How one issuer's claims are read."""

    issuer: str  # its configured name, which becomes the principal's
    user_claim: str
    subject_claim: str
    unverified_email: bool = False  # take an address of which nothing says whose it is
    lease: timedelta  # where the issuer states no end
    roles_claim: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)  # a claim's value -> the role
    role_names: tuple[str, ...] = ()  # patterns of values that are roles of the same name
    default_roles: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)  # a claim -> the attribute


class Times(NamedTuple):
    """The dates that claims state (RFC 7519, 4.1.4 to 4.1.6), aware UTC."""

    expires_at: datetime | None = None
    not_before: datetime | None = None
    issued_at: datetime | None = None

    def narrowed(self, other: "Times") -> "Times":
        """Return the stricter of both: the earlier end and issue, the later begin."""
        return Times(
            expires_at=min(_stated(self.expires_at, other.expires_at), default=None),
            not_before=max(_stated(self.not_before, other.not_before), default=None),
            issued_at=min(_stated(self.issued_at, other.issued_at), default=None),
        )


def times_of(claims: Claims) -> Times:
    """Return the dates that `exp`, `nbf` and `iat` state.

    Raises:
        TokenRejected: MALFORMED: one is no number of seconds between 1970 and the year 9987. null
            is no number either.
    """
    return Times(
        expires_at=_date(claims, "exp"),
        not_before=_date(claims, "nbf"),
        issued_at=_date(claims, "iat"),
    )


def check_times(times: Times, *, now: datetime, leeway: timedelta) -> None:
    """Refuse what is over or has not begun. The leeway is for the begin only.

    Raises:
        TokenRejected: EXPIRED at or past `exp`; NOTYET more than the leeway before `nbf` or `iat`.
    """
    if times.expires_at is not None and now >= times.expires_at:
        raise TokenRejected(
            Refusal.EXPIRED,
            f"exp was {_shown(times.expires_at)}, wanted one after {_shown(now)}, as it is here: "
            "sign in again",
        )
    for name, begin in (("nbf", times.not_before), ("iat", times.issued_at)):
        if begin is not None and begin - now > leeway:
            raise TokenRejected(
                Refusal.NOTYET,
                f"{name} is {_shown(begin)}, wanted one before {_shown(now)}, as it is here: see "
                "both clocks, or wait",
            )


def verdict_of(
    claims: Claims,
    rules: ClaimRules,
    *,
    times: Times,
    now: datetime,
    expires_in: float | None = None,
    key_id: str | None = None,
    generation: int = 0,
) -> Verdict:
    """Return what claims, already known to be true, amount to.

    Args:
        claims: Of the token, or of the issuer's answer about it.
        rules: How to read them.
        times: What the lease is made of, already checked; usually `times_of(claims)`.
        now: When the answer came.
        expires_in: Seconds from now, where a token endpoint has stated them; finite.
        key_id: Of the key that signed the claims, where one did.
        generation: Of the issuer's configuration.

    Raises:
        TokenRejected: MALFORMED: no usable name or subject, or nothing says whose the e-mail
            address is. USERMISMATCH: it is said not to be his. EXPIRED: the lease is over.
    """
    principal = Principal(
        issuer=rules.issuer,
        subject=_subject(claims, rules.subject_claim),
        name=_user(claims, rules),
    )
    lease = _lease(times, rules, now=now, expires_in=expires_in)
    assigned, claims_hold = _assigned(claims, rules)
    return Verdict(
        principal=principal,
        lease=lease,
        states_end=times.expires_at is not None or expires_in is not None,
        roles=tuple(assigned),
        reasons=assigned,
        attributes=_attributes(claims, rules.attributes),
        stated_iat=times.issued_at,
        key_id=key_id,
        generation=generation,
        auth_time=auth_time_of(claims),
        acr=acr_of(claims),
        overage=not _GROUPS.isdisjoint(rules.roles_claim) and is_overage(claims),
        claims_hold=claims_hold,
    )


def _lease(times: Times, rules: ClaimRules, *, now: datetime, expires_in: float | None) -> Lease:
    lease = lease_of(
        now=now,
        issued_at=times.issued_at,
        expires_at=times.expires_at,
        expires_in=None if expires_in is None else max(0.0, min(expires_in, MAX_EXPIRES_IN)),
        otherwise=rules.lease,
    )
    if lease is None:
        over = f"the lease is over, wanted one that lasts beyond {_shown(now)}: sign in again"
        raise TokenRejected(Refusal.EXPIRED, over)
    return lease


def _stated(*dates: datetime | None) -> Iterator[datetime]:
    return (date for date in dates if date is not None)


def _date(claims: Claims, name: str) -> datetime | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, _NUMBER):  # a bool is an int to Python
        raise _wrong(name, value, "a number of seconds since 1970 (RFC 7519, 2)")
    if not 0 <= value <= MAX_DATE:  # which NaN is not either
        raise _wrong(name, value, "seconds since 1970, before the year 9987 (not milliseconds)")
    return datetime.fromtimestamp(value, UTC)


def _shown(date: datetime) -> str:
    return date.isoformat(timespec="seconds")


def _wrong(claim: str, value: object, wanted: str) -> TokenRejected:
    return TokenRejected(
        Refusal.MALFORMED, f"{claim} is {seen(value)}, wanted {wanted}: mend it at the issuer"
    )


def _subject(claims: Claims, claim: str) -> str:
    return _as_name(claims, claim, claim_at(claims, claim), "subject_claim")


def _user(claims: Claims, rules: ClaimRules) -> str:
    """Return the name; a list of exactly one text is that text, as in Entra B2C's `emails`."""
    claim = rules.user_claim
    value = claim_at(claims, claim)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    name = _as_name(claims, claim, value, "user_claim")
    beside, _, member = claim.rpartition("/") if claim.startswith("/") else ("", "", claim)
    if member == "email":
        stated = claim_at(claims, beside) if beside else claims
        _check_email((claims, stated), is_silence_enough=rules.unverified_email)
    return name


def _as_name(claims: Claims, claim: str, value: object, key: str) -> str:
    if value is None:
        there = sorted(claims)
        some = [*map(seen, there[:_MAX_CLAIMS]), *(["..."] if there[_MAX_CLAIMS:] else [])]
        names = ", ".join(some)
        raise TokenRejected(
            Refusal.MALFORMED,
            f"there is no claim {seen(claim)}, only {names or 'none at all'}, wanted one with "
            f"text: have the issuer add it, or set {key} to another",
        )
    if not isinstance(value, str) or not is_name(value):
        raise _wrong(claim, value, f"1 to 256 printable ASCII bytes ({key})")
    return value


def _check_email(places: Iterable[object], *, is_silence_enough: bool) -> None:
    """Refuse an e-mail address that may be anybody's: else he is in under another's name.

    Args:
        places: Objects in which it may be said, at the top and beside the address.
        is_silence_enough: Whether it need not be said.
    """
    said = [
        (name, place[name])
        for place in places
        for name in _EMAIL_VERIFIED
        if isinstance(place, Mapping) and place.get(name) is not None
    ]
    for name, value in said:
        if value not in _YES:
            raise TokenRejected(
                Refusal.USERMISMATCH,
                f"{name} is {seen(value)}, wanted true: have the user confirm the address, or set "
                "user_claim to a name that only the issuer gives",
            )
    if not said and not is_silence_enough:
        raise TokenRejected(
            Refusal.MALFORMED,
            "there is no claim email_verified, wanted true, since the address may be anybody's: "
            "have the issuer add it, or set unverified_email where users cannot choose theirs",
        )


def _assigned(claims: Claims, rules: ClaimRules) -> tuple[Evidence, str]:
    """Return the roles, sorted, and why each is given; where no claim gives one, what they hold."""
    values: dict[str, str] = {}  # and the claim that each stood in first
    for claim in rules.roles_claim:
        found = dict.fromkeys(values_of(claim_at(claims, claim)), claim)
        values = {**values, **found, **values} if values else found
    given = [(rules.roles[value], value) for value in values if value in rules.roles]
    if rules.role_names:
        others = [value for value in values if value not in rules.roles]
        named = islice(_named(others, rules.role_names), MAX_NAMED)
        given += [(value, value) for value in named]
    whys: dict[str, list[str]] = {}
    for role, value in given:
        some = whys.setdefault(role, [])
        if len(some) < MAX_WHYS - 1:  # room for the last, below
            some.append(_why(values[value], value))
    for role in rules.default_roles:
        whys.setdefault(role, []).append(DEFAULT)
    held = "" if given else f"{any_of(rules.roles_claim)} hold {seen(list(values))}"
    return bounded({role: tuple(whys[role]) for role in sorted(whys)}), held


@lru_cache(maxsize=1024)
def _why(claim: str, value: str) -> str:
    """Return why there is a role; the value is one that the configuration knows, or a name."""
    return short(f"claim {claim}: {value}")


def _named(values: list[str], patterns: tuple[str, ...]) -> Iterator[str]:
    """Find the values that are names of roles, among as many as can be compared in 3 ms.

    There is a pattern at least.
    """
    matches, room = _matcher(patterns).match, MAX_COMPARED // len(patterns)
    for value in values:
        room -= len(value) + _EACH
        if room < 0:
            return
        if is_name(value) and value.strip() == value and matches(value):
            yield value


@lru_cache(maxsize=64)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches whatever one of these shell patterns does, in its own case."""
    return re.compile("|".join(map(translate, patterns)))


def _attributes(claims: Claims, names: Mapping[str, str]) -> Mapping[str, str]:
    """Return the session's attributes.

    Left out: claims that are absent, null or objects, that hold anything unprintable (a control,
    a format character, a lone surrogate), or that are longer than 4096 characters.
    """
    texts = {name: text_of(claim_at(claims, claim)) for claim, name in names.items()}
    return MappingProxyType(
        {
            name: text
            for name, text in texts.items()
            if text is not None and len(text) <= MAX_ATTRIBUTE_SIZE and text.isprintable()
        }
    )
