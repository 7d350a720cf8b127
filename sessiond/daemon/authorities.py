"""What a `ca_file` holds now, so that another text in it is noticed."""

import hashlib
from pathlib import Path

from sessiond.core.errors import ConfigError


def authorities_of(ca_file: str, key: str) -> bytes:
    """Return the digest of what is in a ca_file now; of none it is empty.

    So a file that is empty is not taken for none, which would trust the whole machine's.

    Args:
        ca_file: The path; empty text is none.
        key: The configuration key that errors name.

    Raises:
        ConfigError: It cannot be read.
    """
    if not ca_file:
        return b""
    try:
        content = Path(ca_file).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{key}: {error}, wanted certificates in PEM: name a file that sessiond's user may read"
        ) from error
    return hashlib.sha256(content).digest()
