"""What `status` shows: who is signed in, until when, and what a client is going to send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sessiond_login.credentials import password_of, refresh_sent
from sessiond_login.kept import Kept
from sessiond_login.profile import Profile
from sessiond_login.spending import is_good, may_spend

_MINUTE, _HOUR, _DAY = 60, 3600, 86400  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStatus:
    """One profile as it stands."""

    name: str
    profile: Profile
    kept: Kept | None  # None: nothing that is of use with this profile
    place: str  # where tokens are kept, in words
    limits: Sequence[str]  # what clients cannot send of this password, a sentence each


def length_of(kept: Kept, profile: Profile) -> int:
    """Return how many characters a client sends, all of them ASCII."""
    return len(password_of(kept, profile))


def until(expires: float, now: float) -> str:
    """Return when a token expires, on the person's clock, and how far that is."""
    moment = datetime.fromtimestamp(expires).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    left = expires - now
    return f"{moment} (in {_span(left)})" if left > 0 else f"{moment} ({_span(abs(left))} ago)"


def as_lines(status: ProfileStatus, now: float) -> list[str]:
    """Return it for people."""
    profile, kept = status.profile, status.kept
    rows = [("issuer", profile.issuer)]
    if kept is None:
        rows.append(("signed in", "no"))
    else:
        rows.append(("signed in", f"as {kept.user}"))
        word = "good until" if kept.expires > now else "over since"
        rows.append(("access", f"{word} {until(kept.expires, now)}"))
        rows.append(("afterwards", _afterwards(kept, profile)))
        parts = "ACCESS;REFRESH" if refresh_sent(kept, profile) else "ACCESS"
        rows.append(("password", f"{parts}, {length_of(kept, profile):,} characters"))
        rows += [("", sentence) for sentence in status.limits]
    rows.append(("kept in", status.place))
    return [status.name, *(f"  {label:<11} {text}" for label, text in rows)]


def as_object(status: ProfileStatus, now: float) -> dict[str, object]:
    """Return it for programs."""
    profile, kept = status.profile, status.kept
    return {
        "profile": status.name,
        "issuer": profile.issuer,
        "send": profile.send,
        "rotation": profile.rotation,
        "user": "" if kept is None else kept.user,
        "good": kept is not None and is_good(kept, now),
        "expires": None if kept is None else int(kept.expires),
        "handed_over": kept is not None and kept.handed_over,
        "password_length": None if kept is None else length_of(kept, profile),
        "limits": list(status.limits),
        "kept_in": status.place,
    }


def _afterwards(kept: Kept, profile: Profile) -> str:
    if may_spend(kept, profile):
        return "refreshed by sessiond-login"
    if kept.refresh is not None and kept.handed_over:
        return "signed in anew: the refresh token was handed over, and is the daemon's to spend"
    return "signed in anew"


def _span(seconds: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"
