"""The parts put together, for the command line and for Python."""

import os
from collections.abc import Callable
from functools import cache

from sessiond_login import places, signing_out
from sessiond_login.clock import SystemClock
from sessiond_login.credentials import password_of
from sessiond_login.issuer import Issuer
from sessiond_login.keeping.keep import Keeping, wanted
from sessiond_login.kept import Kept
from sessiond_login.limits import sentences
from sessiond_login.profile import Profile
from sessiond_login.profiles import login_files
from sessiond_login.profiles.reading import chosen, made_for
from sessiond_login.signing_in import ProfileTokens
from sessiond_login.signing_out import SignedOut
from sessiond_login.status import ProfileStatus
from sessiond_login.surroundings import Surroundings, way_to_sign_in
from sessiond_login.terminal import PersonAtTerminal

now = SystemClock().now


def tokens_of(asked: str | None, *, device: bool = False) -> ProfileTokens:
    """Return what gets a profile's tokens.

    Args:
        asked: The profile's name; None: the default.
        device: Sign in by a code, whatever else there is.

    Raises:
        ProfileRefused: There is no such profile, or a file of profiles is wrong.
    """
    found = login_files.load(places.here())
    name = chosen(found.profiles, asked, os.environ)
    profile = found.profiles[name]
    return ProfileTokens(
        name=name,
        profile=profile,
        made_for=made_for(profile),
        keep=_keeping(found),
        issuer=_issuer(profile),
        person=PersonAtTerminal(),
        way=lambda: way_to_sign_in(profile, Surroundings.here(), device=device),
        now=now,
    )


def sign_out(asked: str | None) -> SignedOut | None:
    """Sign out of a profile. Raises as `tokens_of` and `signing_out.sign_out` do."""
    found = login_files.load(places.here())
    name = chosen(found.profiles, asked, os.environ)
    profile = found.profiles[name]
    return signing_out.sign_out(
        name, made_for(profile), keep=_keeping(found), issuer=_issuer(profile)
    )


def statuses(asked: str | None) -> list[ProfileStatus]:
    """Return how a profile stands, or how all of them do. Raises as `tokens_of`."""
    found = login_files.load(places.here())
    keep = _keeping(found)
    names = sorted(found.profiles) if asked is None else [chosen(found.profiles, asked, {})]
    return [_status(name, found.profiles[name], keep) for name in names]


def limits(kept: Kept, profile: Profile) -> list[str]:
    """Return which clients cannot send the password, a sentence each."""
    password = password_of(kept, profile)
    return sentences(len(password), colon=":" in password)


def _keeping(found: login_files.Profiles) -> Keeping:
    return Keeping(places.here(), PersonAtTerminal().tell, where=wanted(os.environ, found.keep))


def _issuer(profile: Profile) -> Callable[[], Issuer]:
    @cache
    def made() -> Issuer:
        from sessiond_login.issuers import issuer_of  # here: half a second, and seldom needed

        return issuer_of(profile, SystemClock())

    return made


def _status(name: str, profile: Profile, keep: Keeping) -> ProfileStatus:
    kept = keep.load(name)  # not alone: whoever signs in now may take minutes
    if kept is not None and kept.made_for != made_for(profile):
        kept = None
    return ProfileStatus(
        name=name,
        profile=profile,
        kept=kept,
        place=keep.place(name, is_kept=kept is not None),
        limits=[] if kept is None else limits(kept, profile),
    )
