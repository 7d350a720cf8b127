"""From an issuer's claims to a verdict: the name, the subject, the lease, roles and attributes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.lease import lease_of
from sessiond.core.principal import Principal, is_name
from sessiond.core.verdict import Verdict

MAX_ATTRIBUTE_SIZE = 4096  # characters
MAX_WORDS = 5000  # of a claim that are read
MAX_EXPIRES_IN = 10 * 366 * 86400.0  # seconds; longer is no longer than this
_MAX_DATE = 253_000_000_000  # seconds since 1970, in the year 9987: a datetime holds more

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """How one issuer's claims are read."""

    issuer: str  # its configured name, which becomes the principal's
    user_claim: str
    subject_claim: str
    lease: timedelta  # where the issuer states no end
    roles_claim: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)  # a claim's value -> the role
    default_roles: tuple[str, ...] = ()
    require_role: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)  # a claim -> the attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
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
        raise TokenRejected(Refusal.EXPIRED, "at or past exp")
    for name, begin in (("nbf", times.not_before), ("iat", times.issued_at)):
        if begin is not None and begin - now > leeway:
            raise TokenRejected(Refusal.NOTYET, f"{name} is in the future")


def verdict_of(
    claims: Claims,
    rules: ClaimRules,
    *,
    times: Times,
    now: datetime,
    expires_in: float | None = None,
    key_id: str | None = None,
) -> Verdict:
    """Return what claims, already known to be true, amount to.

    Args:
        claims: Of the token, or of the issuer's answer about it.
        rules: How to read them.
        times: What the lease is made of, already checked; usually `times_of(claims)`.
        now: When the answer came.
        expires_in: Seconds from now, where a token endpoint has stated them; finite.
        key_id: Of the key that signed the claims, where one did.

    Raises:
        TokenRejected: MALFORMED: no usable name or subject. EXPIRED: the lease is over. NOROLES.
    """
    principal = Principal(
        issuer=rules.issuer,
        subject=_name(claims, rules.subject_claim),
        name=_name(claims, rules.user_claim),
    )
    lease = lease_of(
        now=now,
        issued_at=times.issued_at,
        expires_at=times.expires_at,
        expires_in=None if expires_in is None else max(0.0, min(expires_in, MAX_EXPIRES_IN)),
        otherwise=rules.lease,
    )
    if lease is None:
        raise TokenRejected(Refusal.EXPIRED, "the lease is over")
    return Verdict(
        principal=principal,
        lease=lease,
        states_end=times.expires_at is not None or expires_in is not None,
        roles=_roles(claims, rules),
        attributes=_attributes(claims, rules.attributes),
        stated_iat=times.issued_at,
        key_id=key_id,
    )


def claim_at(claims: Claims, name: str) -> object:
    """Return the claim of that name; None where there is none.

    A name that begins with a slash is a JSON Pointer (RFC 6901) to a member inside of objects, as
    Keycloak's `/realm_access/roles`. It goes through objects only, never into a list.
    """
    if not name.startswith("/"):
        return claims.get(name)
    value: object = claims
    for part in name[1:].split("/"):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part.replace("~1", "/").replace("~0", "~"))
    return value


def words_of(value: object) -> list[str]:
    """Return the words of a claim: a string split at spaces (RFC 6749, 3.3), or a list's strings.

    Anything else has none, and so grants nothing; neither do words after the 5,000th.
    """
    if isinstance(value, str):
        return [word for word in value.split(" ", MAX_WORDS)[:MAX_WORDS] if word]
    if isinstance(value, list):
        return [word for word in value[:MAX_WORDS] if isinstance(word, str)]
    return []


def _stated(*dates: datetime | None) -> Iterator[datetime]:
    return (date for date in dates if date is not None)


def _date(claims: Claims, name: str) -> datetime | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):  # a bool is an int to Python
        raise TokenRejected(Refusal.MALFORMED, f"{name} is not a number")
    if not 0 <= value <= _MAX_DATE:  # which NaN is not either
        raise TokenRejected(Refusal.MALFORMED, f"{name} is out of range")
    return datetime.fromtimestamp(value, UTC)


def _name(claims: Claims, claim: str) -> str:
    if claim not in claims:
        raise TokenRejected(Refusal.MALFORMED, f"there is no claim {claim}")
    value = claims[claim]
    if not isinstance(value, str) or not is_name(value):
        raise TokenRejected(Refusal.MALFORMED, f"{claim} is not 1 to 256 printable ASCII bytes")
    return value


def _roles(claims: Claims, rules: ClaimRules) -> tuple[str, ...]:
    """Return the roles, sorted. The default ones do not fulfil `require_role`."""
    values = {value for claim in rules.roles_claim for value in words_of(claim_at(claims, claim))}
    roles = {rules.roles[value] for value in values if value in rules.roles}
    if rules.require_role and not roles:
        raise TokenRejected(Refusal.NOROLES, "no claim names a known role")
    return tuple(sorted(roles.union(rules.default_roles)))


def _attributes(claims: Claims, names: Mapping[str, str]) -> Mapping[str, str]:
    """Return the session's attributes.

    Left out: claims that are absent, null or objects, that hold anything unprintable (a control,
    a format character, a lone surrogate), or that are longer than 4096 characters.
    """
    texts = {name: _text(claim_at(claims, claim)) for claim, name in names.items()}
    return MappingProxyType(
        {
            name: text
            for name, text in texts.items()
            if text is not None and len(text) <= MAX_ATTRIBUTE_SIZE and text.isprintable()
        }
    )


def _text(value: object) -> str | None:
    """Return a scalar's text, or a list's, joined by blanks; None where it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)  # what JSON calls it, at a quarter of what `json` takes
    if isinstance(value, list):
        return _joined(value)
    return None


def _joined(items: list[object]) -> str | None:
    """Return the texts of a list, joined by blanks; None where an item has none, or all too much.

    It looks no further than an attribute may be long.
    """
    texts, size = [], -1  # there is a blank less than there are items
    for item in items:
        text = None if isinstance(item, list) else _text(item)
        size += 1 + len(text or "")
        if text is None or size > MAX_ATTRIBUTE_SIZE:
            return None
        texts.append(text)
    return " ".join(texts)
