"""Proof that whoever redeems a code is who asked for it (RFC 7636)."""

from base64 import urlsafe_b64encode
from hashlib import sha256


def challenge_of(verifier: str) -> dict[str, str]:
    """Return what is sent ahead of a verifier: its S256 challenge (4.2), as fields of a request."""
    digest = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return {"code_challenge": digest, "code_challenge_method": "S256"}
