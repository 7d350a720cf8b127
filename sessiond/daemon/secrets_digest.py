"""What stands for secrets where they are only compared: whether they are still the same."""

import hashlib

from sessiond.core.secret import Secret


def digest_of(*found: Secret | None) -> bytes:
    """Return the SHA-256 of secrets, in their order; a missing one is no empty one."""
    texts = ["-" if each is None else f"+{each.reveal()}" for each in found]
    return hashlib.sha256("\0".join(texts).encode()).digest()
