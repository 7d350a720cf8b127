"""Who may spend which refresh token: what to do next, by what is kept, the profile and the time.

A refresh token that rotates is good once, and an issuer that sees it twice ends the whole grant
(RFC 9700, 4.14), the sessions of everybody who holds it. So it has one owner. With
`send = "access"` that is this program. With `send = "pair"` it is whoever was given the pair; this
program never refreshes a pair of a strict issuer, given or not. Whether it was given stands in
`handed_over`, but what is kept can be older than that (a disk that was full, a home that came back
from a backup), and to be wrong once ends sessions, while to be cautious costs an authorization that
is silent while the browser is signed in. So what was signed in for to be sent as a pair is not
spent after the profile has changed either, and what was not is not given as one. Where a refresh
token stays good (`rotation = "tolerant"`), both sides spend it.
"""

from enum import Enum, auto
from typing import Literal

import msgspec

from sessiond_login.issuer import Granted
from sessiond_login.kept import Kept
from sessiond_login.profile import Profile

LEAST = 60.0  # seconds that a token still is good when it is given
SLEW = 5.0  # seconds that a clock may step back and be believed
ASSUMED = 300.0  # seconds that one is where the issuer does not tell (RFC 6749, 5.1, lets it)


class Step(Enum):
    """What to do next."""

    GIVE = auto()  # what is kept
    REFRESH = auto()
    ASK_SILENTLY = auto()  # the person's browser first, and the person where it is not enough
    ASK = auto()  # the person


def next_step(kept: Kept | None, profile: Profile, now: float) -> Step:
    """Return what to do for who wants tokens.

    Args:
        kept: What was signed in for with this profile; None: nothing.
        profile: As it is configured now, which may be otherwise than at the sign-in.
        now: Unix seconds, by the clock that `kept.expires` was made by.
    """
    if kept is None:
        return Step.ASK
    if is_good(kept, now) and not _is_ours_alone(kept, profile):
        return Step.GIVE
    return Step.REFRESH if may_spend(kept, profile) else Step.ASK_SILENTLY


def is_good(kept: Kept, now: float) -> bool:
    """Say whether an access token is good for long enough to be given.

    One that came later than now did not: the clock was set back, and nobody knows for how long it
    is good.
    """
    return kept.since - now <= SLEW and kept.expires - now >= LEAST


def may_spend(kept: Kept, profile: Profile) -> bool:
    """Say whether the kept refresh token is this program's to send."""
    if kept.refresh is None:
        return False
    if profile.rotation == "tolerant":
        return True
    return profile.send == kept.send == "access" and not kept.handed_over


def _is_ours_alone(kept: Kept, profile: Profile) -> bool:
    """Say whether the refresh token is to be spent here, though the profile now wants it given."""
    return (
        profile.rotation == "strict"
        and profile.send == "pair"
        and kept.send == "access"
        and kept.refresh is not None
    )


def signed_in(
    granted: Granted, made_for: str, now: float, *, send: Literal["pair", "access"]
) -> Kept:
    """Return what is kept of a new authorization."""
    return Kept(
        made_for=made_for,
        user=granted.user,
        access=granted.access,
        refresh=granted.refresh,
        since=now,
        expires=now + (ASSUMED if granted.lasts is None else granted.lasts),
        send=send,
        handed_over=False,
    )


def refreshed(before: Kept, granted: Granted, now: float) -> Kept | None:
    """Return what is kept after a refresh; None where it brought another user's tokens.

    An issuer that sends no new refresh token lets the old one stand (RFC 6749, 6), with whoever
    holds it.
    """
    if granted.user not in ("", before.user):
        return None
    stands = granted.refresh is None or (
        before.refresh is not None and granted.refresh.same_as(before.refresh)
    )
    return msgspec.structs.replace(
        signed_in(granted, before.made_for, now, send=before.send),
        user=before.user,
        refresh=before.refresh if stands else granted.refresh,
        handed_over=before.handed_over and stands,
    )


def in_flight(kept: Kept) -> Kept:
    """Return what is kept while the issuer is asked: a crash leaves it so.

    Whether the issuer has seen the token is then unknown, and it is sent once more: where it had
    been spent, the issuer ends a grant that nobody else holds, and the person signs in.
    """
    return msgspec.structs.replace(kept, in_flight=True)


def ended(kept: Kept) -> Kept:
    """Return what is kept once the issuer has refused a refresh: nothing to send again."""
    return msgspec.structs.replace(kept, refresh=None, in_flight=False)


def given(kept: Kept, profile: Profile) -> Kept:
    """Return what is kept once a client has what the profile sends; the same, where it is known."""
    if kept.handed_over or kept.refresh is None or profile.send == "access":
        return kept
    return msgspec.structs.replace(kept, handed_over=True)
