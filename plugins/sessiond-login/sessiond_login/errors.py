"""What can go wrong, each kind with the exit code of the program (sysexits.h).

A message says what was seen, what was wanted and what to do, and never holds a token.
"""

from typing import ClassVar


class LoginError(Exception):
    """Nobody was signed in; the message is for the person who reads it."""

    exit_code: ClassVar[int]


class UsageRefused(LoginError):  # noqa: N818 -- they are named by what happened
    """What was asked for makes no sense here, as a token shown on a terminal."""

    exit_code = 64


class IssuerUnavailable(LoginError):  # noqa: N818
    """The issuer does not answer, or with nothing of use."""

    exit_code = 69


class CannotKeep(LoginError):  # noqa: N818
    """There is no place to keep what was signed in for."""

    exit_code = 73


class NotSignedIn(LoginError):  # noqa: N818
    """The person, or the issuer, did not agree, or not in time."""

    exit_code = 77


class ProfileRefused(LoginError):  # noqa: N818
    """The profile is missing or wrong, or the issuer does not know what it names."""

    exit_code = 78


class RefreshRefused(Exception):  # noqa: N818
    """The issuer has ended the grant: whoever is to go on signs in anew. It ends no program."""
