"""An issuer of PASETO tokens for the daemon's `paseto` plugin, with its key file."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sessiond_paseto.v4 import HEADER, encoded, pae

from tests import canary

ISSUER = "paseto.example.com"


class Mint:
    """One key pair. Its tokens are bearer passwords, and the canary knows them."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def publish(self, path: Path) -> Path:
        """Put the public key into a key file, in place of what was there."""
        draft = path.with_suffix(".new")
        draft.write_text(f"k4.public.{encoded(self._key.public_key().public_bytes_raw())}\n")
        draft.chmod(0o644)
        return draft.rename(path)

    def password(self, user: str = "alice", *, lasts: float = 600.0, **claims: object) -> str:
        """Return a token of so many seconds, marked as one."""
        said = {
            "iss": ISSUER,
            "aud": "api://kdb",
            "sub": f"subject of {user}",
            "preferred_username": user,
            "iat": _date(time.time()),
            "exp": _date(time.time() + lasts),
            **claims,
        }
        message = json.dumps(said).encode()
        signature = self._key.sign(pae(HEADER.encode(), message, b"", b""))
        token = HEADER + encoded(message + signature)
        canary.remember(encoded(signature), "paseto")
        return f"bearer:{token}"


def configuration(*, issuer: str = "", more: str = "", **sections: str) -> str:
    """Return a configuration whose one issuer is the mint, to be given to a daemon.

    Args:
        issuer: More lines for the `[[issuer]]` table.
        more: Tables after that.
        sections: Lines for other tables, by name.
    """
    lines = [f"[{name}]\n{content}" for name, content in sections.items()]
    return "\n".join(
        [
            "[listen]",
            'port = {port}\ndirectory = "{folder}"\ncontrol = "{folder}/c"',
            "[store]",
            'path = "{folder}/sessiond.db"',
            *lines,
            "[[issuer]]",
            f'name = "mint"\nissuer = "{ISSUER}"\nverify = "plugin"\nplugin = "paseto"',
            'audience = ["api://kdb"]',
            issuer,
            "[issuer.settings]",
            'key_file = "{folder}/keys"',
            more,
            "",
        ]
    )


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
