"""Proves the daemon to q, which sends no token to anybody who has not."""

import hashlib

from sessiond.core.secret import Secret


def proof_of(key: Secret, *, address: str, nonce: str) -> bytes:
    """Return sha1(key, sha1(key, "sessiond:", address, ":", nonce)), 20 bytes.

    SHA-1 is what kdb+ has (`-33!`, from 4.0). Hashing twice with the key in front is what HMAC
    does in essence, so extending the inner digest gains nothing.

    Args:
        key: The first line of the proof key file, as text.
        address: The path that q connects to, DIRECTORY/kx.PORT, so that the answer of one
            socket does not pass for another's.
        nonce: q's own, new at each call.
    """
    secret = key.reveal().encode()
    inner = hashlib.sha1(secret + f"sessiond:{address}:{nonce}".encode()).digest()  # noqa: S324
    return hashlib.sha1(secret + inner).digest()  # noqa: S324
