"""No token leaves the daemon: not in its log, not in its database, not in its answers."""

from collections.abc import Iterable
from pathlib import Path

from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration

WINDOW = 16  # characters of a secret that must not be found anywhere


def random_parts(tokens: dict[str, str]) -> list[str]:
    """Return what of tokens is random: a JWT's signature, an opaque token whole."""
    return [tokens["access_token"].rpartition(".")[2], tokens["refresh_token"]]


def leaks(secrets: Iterable[str], text: bytes) -> list[str]:
    """Return the secrets of which any window stands in the text."""
    return [
        secret
        for secret in secrets
        if any(secret[at : at + WINDOW].encode() in text for at in range(len(secret) - WINDOW + 1))
    ]


def test_nothing_that_is_written_holds_a_token(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    daemon = start(
        configuration(strict_issuer, refresh="share = 0.2\njitter = 0.0") + '[log]\nlevel = "debug"'
    )
    q = process(daemon)
    presented = [strict_issuer.tokens() for _ in range(3)]
    q.log_in(ALICE, pair(presented[0]))
    q.connect("mallory@contoso.test", pair(presented[1]), 6)
    q.connect(ALICE, pair(presented[2])[:-5] + "\x01", 7)
    q.connect(pair(presented[2]), "", 8)
    assert q.next_push()["event"] == "refreshed"
    strict_issuer.control.revoke_user(ALICE)
    assert q.next_push()["event"] == "revoked"
    secrets = [part for tokens in presented for part in random_parts(tokens)]
    files = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    assert "sessiond.db" in files
    assert leaks(secrets, "".join(secrets).encode()) == secrets  # the search finds what is there
    for name, content in files.items():
        assert leaks(secrets, content) == [], name
    assert leaks(secrets, "".join(daemon.lines).encode()) == []
