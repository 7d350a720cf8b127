"""How a person can be asked here: in a browser, by a code, or on the terminal."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from sessiond_login.errors import NotSignedIn
from sessiond_login.profile import Profile

_OVER_SSH = ("SSH_CONNECTION", "SSH_TTY")


class Way(Enum):
    """A way to sign in."""

    BROWSER = auto()
    DEVICE_CODE = auto()
    PASSWORD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a person has before him."""

    browser: bool  # one can be opened where he sees it
    reads: bool  # he sees what is told on standard error: a terminal, or a notebook's cell

    @classmethod
    def here(cls) -> Self:
        """Return those of this process."""
        return cls(
            browser=has_browser(os.environ, sys.platform),
            reads="ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty()),
        )


def has_browser(environment: Mapping[str, str], platform: str) -> bool:
    """Say whether a browser can be opened before the person.

    `BROWSER` is his word that one can. A display counts over SSH too, where it was forwarded.
    Windows and macOS have one without saying so, but not for who came over SSH.
    """
    if environment.get("BROWSER") or environment.get("DISPLAY"):
        return True
    if platform in {"win32", "darwin"}:
        return not any(environment.get(name) for name in _OVER_SSH)
    return bool(environment.get("WAYLAND_DISPLAY"))


def way_to_sign_in(profile: Profile, here: Surroundings, *, device: bool) -> Way:
    """Return how the person is asked.

    Args:
        profile: Its `flow` is what its author wants.
        here: What there is.
        device: The person asked for a code, and so sees it.

    Raises:
        NotSignedIn: He cannot be asked here; the message says what he can do.
    """
    if device:
        return Way.DEVICE_CODE
    if profile.flow == "password":
        return Way.PASSWORD
    if profile.flow == "browser" and here.browser:
        return Way.BROWSER
    if here.reads:
        return Way.DEVICE_CODE
    lacking = "no terminal" if profile.flow == "device" else "no display and no terminal"
    raise NotSignedIn(
        f"nobody can be asked to sign in here: there is {lacking}. "
        "Run `sessiond-login` in a terminal, or with --device where its messages are read; "
        "then this works until the access token expires"
    )
