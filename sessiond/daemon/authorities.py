"""Whom connections trust, by what a `ca_file` holds now: another text in it is noticed."""

import hashlib
import ssl
from functools import partial
from pathlib import Path

import anyio.to_thread

from sessiond.core.errors import ConfigError
from sessiond.issuers.http import trust

# Whoever stops the daemon does not wait for a file that hangs.
_away = partial(anyio.to_thread.run_sync, abandon_on_cancel=True)


async def authorities_of(ca_file: str, key: str) -> bytes:
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
        content = await _away(Path(ca_file).read_bytes)
    except OSError as error:
        raise ConfigError(
            f"{key}: {error}, wanted certificates in PEM: name a file that sessiond's user may read"
        ) from error
    return hashlib.sha256(content).digest()


class Trusted:
    """Whom the connections of one configuration trust: loaded once for all who trust the same."""

    def __init__(self) -> None:
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    async def by(self, authorities: bytes, ca_file: str, key: str) -> ssl.SSLContext:
        """Return what decides whom connections trust.

        Args:
            authorities: What `authorities_of` has found in the file.
            ca_file: The path; empty text is the machine's.
            key: The configuration key that errors name.

        Raises:
            ConfigError: The file is gone, holds no certificate, or has just been changed: what
                was loaded of it would count for all whose file was as that was before.
        """
        if authorities not in self._contexts:
            try:
                loaded = await _away(trust, ca_file)
            except OSError as error:
                raise ConfigError(
                    f"{key}: {error}, wanted certificates in PEM: name a file of them"
                ) from error
            if await authorities_of(ca_file, key) != authorities:
                raise ConfigError(
                    f"{key}: {ca_file} was changed while it was read, wanted it at rest: try again"
                )
            self._contexts[authorities] = loaded
        return self._contexts[authorities]
