"""A verifier for sessiond: logins with PASETO v4.public tokens."""

from typing import Any

from sessiond.api import IssuerAbout, settings_of
from sessiond_paseto.verifier import PasetoSettings, PasetoVerifier

__all__ = ["PasetoSettings", "PasetoVerifier", "verifier"]


def verifier(*, issuer: IssuerAbout, **keys: Any) -> PasetoVerifier:
    """Return the verifier that an `[[issuer]]` table with `plugin = "paseto"` asks for."""
    return PasetoVerifier(issuer, settings_of(PasetoSettings, keys))
