"""The verifier: a v4.public token, signed by a key of the key file, is what its claims say."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sessiond.api import (
    IssuerAbout,
    IssuerUnavailable,
    Refusal,
    Secret,
    SettingsError,
    TokenRejected,
    TrustedFile,
    TrustedFileError,
    Verdict,
)
from sessiond_paseto.claims import read_claims
from sessiond_paseto.keys import Key, Keys, read_keys
from sessiond_paseto.v4 import FormatError, SignedToken, read_token

MAX_KEY_FILE = 65536  # bytes
MAX_FOOTER = 1024  # bytes: a stranger's JSON is read before anything is verified
_OTHERS = ("v4.local.", "v3.", "v2.", "v1.")  # encrypted, or signed by other means


class PasetoSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[issuer.settings]` table."""

    key_file: Annotated[str, Meta(pattern=r"^/[^\x00]*\Z", description="an absolute path")]
    implicit_assertion: str = ""  # what the issuer signs with each token and sends with none


class _Footer(Struct):
    kid: str


class PasetoVerifier:
    """A Verifier (sessiond.api): asks nobody, so nothing that it does waits."""

    is_online = False

    def __init__(self, issuer: IssuerAbout, settings: PasetoSettings) -> None:
        """Read the keys.

        Raises:
            SettingsError: The key file is not as it must be, or the issuer has no `audience`.
        """
        if not issuer.audience:
            raise SettingsError(
                "key_file is not enough: without `audience` in the [[issuer]] table, a token for "
                "any other program would do"
            )
        self._issuer = issuer
        self._implicit_assertion = settings.implicit_assertion.encode()
        self._keys = TrustedFile(settings.key_file, read_keys, max_size=MAX_KEY_FILE)
        try:
            self._keys.current()
        except TrustedFileError as error:
            raise SettingsError(f"key_file: {error}") from error

    def needs_call(self, token: Secret) -> bool:
        """Say False: the keys are in a file."""
        return False

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the token proves; see `sessiond.api.Verifier`."""
        text = token.reveal()
        if text.startswith(_OTHERS):
            raise TokenRejected(
                Refusal.WRONGTYPE,
                "a PASETO of another version or purpose, wanted v4.public: have the issuer sign it",
            )
        try:
            signed = read_token(text)
        except FormatError as error:
            raise TokenRejected(
                Refusal.MALFORMED, f"{error}, wanted a v4.public token: present it whole"
            ) from None
        key = _key_of(signed, self._current_keys())
        if not signed.is_signed_by(key.public, self._implicit_assertion):
            raise TokenRejected(
                Refusal.BADSIGNATURE,
                "the signature is not that of the key, wanted one of key_file: see whose token it "
                "is, and that implicit_assertion is the issuer's",
            )
        try:
            claims = read_claims(signed.message)
        except ValueError as error:
            raise TokenRejected(
                Refusal.MALFORMED, f"{error}, wanted claims in order: mend it at the issuer"
            ) from None
        return self._issuer.verdict(claims, now=now, expires_in=expires_in, key_id=key.id)

    def still_valid(self, verdict: Verdict) -> bool:
        """Say whether the key that signed is still in the file."""
        try:
            return verdict.key_id is not None and self._keys.current().holds(verdict.key_id)
        except TrustedFileError:
            return False

    async def probe(self) -> None:
        """Read the keys, where they have changed."""
        self._current_keys()

    def _current_keys(self) -> Keys:
        try:
            return self._keys.current()
        except TrustedFileError as error:
            raise IssuerUnavailable(
                f"no keys: {error}, wanted those of key_file: mend it, or bring it back"
            ) from error


def _key_of(signed: SignedToken, keys: Keys) -> Key:
    """Return the key that the footer names; where there is a single one it may name none."""
    if not signed.footer:
        if keys.alone is None:
            raise TokenRejected(
                Refusal.BADSIGNATURE,
                "no kid, and key_file has several keys, wanted it in the footer: have the issuer "
                "add it",
            )
        return keys.alone
    if len(signed.footer) > MAX_FOOTER:
        raise TokenRejected(
            Refusal.MALFORMED,
            f"the footer has {len(signed.footer)} bytes, wanted {MAX_FOOTER} at most: have the "
            "issuer put less into it",
        )
    try:
        kid = msgspec.json.decode(signed.footer, type=_Footer).kid
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TokenRejected(
            Refusal.MALFORMED,
            "the footer is no JSON object with kid, wanted that: mend it at the issuer",
        ) from None
    if kid not in keys.by_kid:
        raise TokenRejected(
            Refusal.BADSIGNATURE,
            "there is no key of this kid, wanted one of key_file: see whose token it is, or add "
            "the issuer's new key",
        )
    return keys.by_kid[kid]
