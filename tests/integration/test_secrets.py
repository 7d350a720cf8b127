"""No token leaves the daemon: not in its log, not in its database, not in its answers."""

from collections.abc import Iterable
from pathlib import Path

from sessiond.testing import FakeProcess
from tests import canary
from tests.integration.conftest import Connected, Start
from tests.integration.journaled import JournaledDaemon
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


def log_in_every_way(q: FakeProcess, issuer: RunningIssuer) -> list[str]:
    """Log in well and badly, be refreshed and revoked; return what was secret in it."""
    presented = [issuer.tokens() for _ in range(3)]
    q.log_in(ALICE, pair(presented[0]))
    q.connect("mallory@contoso.test", pair(presented[1]), 6)
    q.connect(ALICE, pair(presented[2])[:-5] + "\x01", 7)
    q.connect(pair(presented[2]), "", 8)
    assert q.next_push()["event"] == "refreshed"
    issuer.control.revoke_user(ALICE)
    assert q.next_push()["event"] == "revoked"
    return [part for tokens in presented for part in random_parts(tokens)]


def test_nothing_that_is_written_holds_a_token(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    daemon = start(
        configuration(strict_issuer, refresh="share = 0.2\njitter = 0.0") + '[log]\nlevel = "debug"'
    )
    q = process(daemon)
    secrets = log_in_every_way(q, strict_issuer)
    files = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    assert "sessiond.db" in files
    assert leaks(secrets, "".join(secrets).encode()) == secrets  # the search finds what is there
    for name, content in files.items():
        assert leaks(secrets, content) == [], name
    assert leaks(secrets, "".join(daemon.lines).encode()) == []


def test_nothing_that_journald_is_sent_holds_a_token(
    strict_issuer: RunningIssuer, process: Connected, folder: Path
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    log = '[log]\nlevel = "debug"\nformat = "journald"'
    text = configuration(strict_issuer, refresh="share = 0.2\njitter = 0.0") + log
    with JournaledDaemon(folder, text) as daemon:
        secrets = log_in_every_way(process(daemon), strict_issuer)
        refused = daemon.logged(3, event="login", outcome="refused")
        assert [each["reason"] for each in refused] == ["usermismatch", "nottoken", "nottoken"]
        assert refused[2]["user"] == "(token)"
        assert daemon.stop() == 0
        assert daemon.logged(1, event="stopped")
    sent = b"".join(daemon.datagrams)
    assert sent.count(b"PRIORITY=") == len(daemon.datagrams) > 5
    assert leaks(secrets, sent) == []
    assert canary.found_in(sent) == set()
    assert not any(line.startswith('{"timestamp"') for line in daemon.lines)  # to standard output
