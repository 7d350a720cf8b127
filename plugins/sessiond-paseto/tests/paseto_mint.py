"""An issuer of v4.public tokens. What it signs is put together here, not by the plugin's code."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ISSUER = "paseto.example.com"
CLAIMS: Mapping[str, object] = {
    "iss": ISSUER,
    "aud": "api://kdb",
    "sub": "s-1",
    "preferred_username": "alice",
    "iat": "2026-03-02T08:59:00Z",
    "exp": "2026-03-02T10:00:00+00:00",
}


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class Mint:
    """One key pair."""

    def __init__(self, seed: int = 1) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)

    @property
    def line(self) -> str:
        """The public key as a key file has it."""
        return f"k4.public.{base64url(self._key.public_key().public_bytes_raw())}"

    def token(
        self, claims: Mapping[str, object] | bytes = CLAIMS, footer: str = "", assertion: str = ""
    ) -> str:
        message = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        signed = b"\x04" + bytes(7)  # four pieces, each after its length
        for piece in (b"v4.public.", message, footer.encode(), assertion.encode()):
            signed += len(piece).to_bytes(8, "little") + piece
        body = base64url(message + self._key.sign(signed))
        return f"v4.public.{body}" + (f".{base64url(footer.encode())}" if footer else "")


def key_file(folder: Path, *lines: str) -> Path:
    path = folder / "paseto.keys"
    path.write_text("\n".join(["# keys of the tests", "", *lines, ""]))
    path.chmod(0o644)
    return path
