"""What plugins inside the daemon answer, checked before it is believed."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from msgspec import structs

from sessiond.core.claim_values import MAX_ATTRIBUTE_SIZE
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.evidence import MAX_WHYS, Evidence, bounded, short
from sessiond.core.granted import Granted
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal, is_name
from sessiond.core.verdict import Verdict
from sessiond.extensions.plugin_guard import AnswerError

MOST_ROLES = 256
MOST_ATTRIBUTES = 64
_WORD = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,1022}[\x21-\x7e])?")  # as a role in [issuer.roles]
_UTC = timedelta(0)


def checked_verdict(verdict: object, *, issuer: str, now: datetime) -> Verdict:
    """Return a verifier's verdict with its lease begun and its roles in order.

    Args:
        verdict: As the plugin answered.
        issuer: The configured name: it can vouch for no other issuer's users.
        now: As the plugin was given.

    Raises:
        AnswerError: It is none that sessiond could keep.
        TokenRejected: EXPIRED: its lease is over.
    """
    if not isinstance(verdict, Verdict):
        raise AnswerError("the answer is no Verdict")
    _check_principal(verdict.principal, issuer)
    lease = _checked_lease(verdict.lease, now)
    if verdict.stated_iat is not None:
        _check_date(verdict.stated_iat, "stated_iat")
    if verdict.key_id is not None and not isinstance(verdict.key_id, str):
        raise AnswerError("key_id is no text")
    _check_sign_in(verdict)
    roles = _checked_roles(verdict.roles)
    return replace(
        verdict,
        lease=lease,
        roles=roles,
        reasons=_checked_reasons(verdict.reasons, roles),
        attributes=_checked_attributes(verdict.attributes),
    )


def checked_granted(granted: object) -> Granted:
    """Return a role source's answer with its roles in order.

    Raises:
        AnswerError: It is none that sessiond could keep.
    """
    if not isinstance(granted, Granted):
        raise AnswerError("the answer is no Granted")
    return Granted(
        roles=_checked_roles(granted.roles), attributes=_checked_attributes(granted.attributes)
    )


def _check_principal(principal: object, issuer: str) -> None:
    if not isinstance(principal, Principal):
        raise AnswerError("principal is no Principal")
    if principal.issuer != issuer:
        raise AnswerError("the principal is another issuer's")
    names: dict[str, object] = {"name": principal.name, "subject": principal.subject}
    for key, name in names.items():
        if not isinstance(name, str) or not is_name(name):
            raise AnswerError(f"the principal's {key} is not 1 to 256 printable ASCII bytes")


def _checked_lease(lease: object, now: datetime) -> Lease:
    if not isinstance(lease, Lease):
        raise AnswerError("lease is no Lease")
    _check_date(lease.issued_at, "lease.issued_at")
    _check_date(lease.expires_at, "lease.expires_at")
    if lease.expires_at <= now:
        raise TokenRejected(
            Refusal.EXPIRED,
            f"the lease ended at {lease.expires_at:%Y-%m-%dT%H:%M:%S%z}, wanted one that lasts: "
            "sign in again",
        )
    return structs.replace(lease, issued_at=min(lease.issued_at, now))


def _check_date(date: object, key: str) -> None:
    if not isinstance(date, datetime) or date.utcoffset() != _UTC:
        raise AnswerError(f"{key} is no aware datetime in UTC")


def _checked_roles(roles: object) -> tuple[str, ...]:
    if isinstance(roles, str) or not isinstance(roles, Collection):
        raise AnswerError("roles is no collection of texts")
    if len(roles) > MOST_ROLES:
        raise AnswerError(f"there are more than {MOST_ROLES} roles")
    if not all(_is_word(role) for role in roles):
        raise AnswerError("a role is not 1 to 1024 printable ASCII characters")
    return tuple(sorted(set(roles)))


def _checked_reasons(reasons: object, roles: tuple[str, ...]) -> Evidence:
    """Return why the verdict's roles are given, in their order; a role may have no reason."""
    if not isinstance(reasons, Mapping):
        raise AnswerError("reasons is no mapping")
    checked = {}
    for role in filter(reasons.__contains__, roles):
        whys = reasons[role]
        if not isinstance(whys, tuple) or not all(isinstance(why, str) for why in whys):
            raise AnswerError("the reasons of a role are no tuple of texts")
        checked[role] = tuple(map(short, whys[:MAX_WHYS]))
    return bounded(checked)


def _check_sign_in(verdict: Verdict) -> None:
    if verdict.auth_time is not None:
        _check_date(verdict.auth_time, "auth_time")
    acr: object = verdict.acr
    if not isinstance(acr, tuple) or not all(isinstance(each, str) for each in acr):
        raise AnswerError("acr is no tuple of texts")
    if not isinstance(verdict.overage, bool):
        raise AnswerError("overage is no bool")
    if not isinstance(verdict.claims_hold, str):
        raise AnswerError("claims_hold is no text")


def _checked_attributes(attributes: object) -> Mapping[str, str]:
    if not isinstance(attributes, Mapping):
        raise AnswerError("attributes is no mapping")
    if len(attributes) > MOST_ATTRIBUTES:
        raise AnswerError(f"there are more than {MOST_ATTRIBUTES} attributes")
    for name, text in attributes.items():
        if not _is_word(name):
            raise AnswerError("an attribute's name is not 1 to 1024 printable ASCII characters")
        if not isinstance(text, str) or not text.isprintable() or len(text) > MAX_ATTRIBUTE_SIZE:
            raise AnswerError(f"an attribute is no printable text of {MAX_ATTRIBUTE_SIZE} at most")
    return MappingProxyType(dict(attributes))


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None
