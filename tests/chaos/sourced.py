"""The data sources of a chaos run: their tables, and the refresh token that one begins with."""

from pathlib import Path

from tests.chaos.realm import Realm
from tests.chaos.terms import OWN, ROTATED, SOURCE_CLIENT
from tests.issuer.running import SERVICE

SOURCES = (ROTATED, OWN)
SECRET = f"{SOURCE_CLIENT}-secret"
USER = "source@contoso.test"
TABLES = f"""
[[source]]
name = "{ROTATED}"
issuer = "strict"
grant = "refresh_token"
client_id = "{SOURCE_CLIENT}"
client_secret_file = "{{folder}}/{SOURCE_CLIENT}.secret"
refresh_token_file = "{{folder}}/seed"
min_validity = 6.0
processes = ["q*"]
[[source]]
name = "{OWN}"
issuer = "entra"
client_id = "{SERVICE[0]}"
client_secret_file = "{{folder}}/{SERVICE[0]}.secret"
scope = "session.login"
resource = "api://kdb"
min_validity = 6.0
processes = ["q*"]
"""


class Seed:
    """The file with the refresh token that the rotated source begins with."""

    def __init__(self, folder: Path, realm: Realm) -> None:
        """Write it, and what proves the clients."""
        self._file = folder / "seed"
        self._realm = realm
        for client, secret in ((SOURCE_CLIENT, SECRET), SERVICE):
            _write(folder / f"{client}.secret", secret)
        self.sow()

    def sow(self) -> None:
        """Put another refresh token into it."""
        assert self._realm.issuer is not None
        self._realm.issuer.control.change_user(USER)
        answer = self._realm.issuer.tokens(USER, SOURCE_CLIENT, secret=SECRET)
        self._realm.secrets.append(answer["refresh_token"])
        _write(self._file, answer["refresh_token"])
        self._realm.journal.note("seed-sown")

    def revoke(self) -> None:
        """End at the issuer what was granted."""
        assert self._realm.issuer is not None
        self._realm.issuer.control.change_user(USER)  # an issuer that came anew knows nobody
        self._realm.issuer.control.revoke_user(USER)
        self._realm.journal.note("seed-revoked")


def _write(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"{text}\n")
