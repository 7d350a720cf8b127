"""A real daemon that posts to a receiver which goes away and comes back."""

import json
import tempfile
from pathlib import Path

import pytest
import trustme
from receiving import PATIENCE, SECRET, Receiver, answering, hang_up, secret_file, signatures

from sessiond.qipc import call, int_
from sessiond.testing import FakeProcess
from tests.issuer.running import ALICE, RunningIssuer
from tests.needs import absent
from tests.running_daemon import RunningDaemon, configuration

SUBSCRIBER = """
[[subscriber]]
plugin = "webhook"
url = "https://localhost:{port}/hook?code=hush"
ca_file = "{folder}/ca.pem"
secret_file = "{folder}/secret"
source = "/test"
"""


def log_in(daemon: RunningDaemon, issuer: RunningIssuer, handle: int) -> None:
    """Make two events: a session is opened and closed."""
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, issuer.tokens()["access_token"], handle)
        q.tell(call("disconnect", int_(handle)))
        assert q.sessions() == []


def next_accepted(receiver: Receiver) -> tuple[int, str]:
    """Wait for a request; return its event's number and kind."""
    request = receiver.received.get(timeout=PATIENCE)
    assert signatures(request, SECRET) == [True]
    data = json.loads(request.body)["data"]
    return data["sequence"], data["kind"]


def test_what_happens_while_the_receiver_is_away_is_posted_when_it_is_back(
    authority: trustme.CA,
) -> None:
    if reason := absent("real"):
        pytest.skip(f"needs real: {reason}")
    with (
        tempfile.TemporaryDirectory(prefix="sd") as name,
        RunningIssuer(rotation="strict") as issuer,
    ):
        folder = Path(name)
        authority.cert_pem.write_to_path(folder / "ca.pem")
        secret_file(folder / "secret", SECRET)
        with Receiver(authority) as away:
            port = away.port
        keys = SUBSCRIBER.format(port=port, folder=folder)
        with RunningDaemon(folder, configuration(issuer) + keys) as daemon:
            log_in(daemon, issuer, 5)  # nobody listens yet
            daemon.kill()
            daemon.start()
            with Receiver(authority, port=port) as receiver:
                receiver.behaviours = [hang_up, answering(500)]
                log_in(daemon, issuer, 6)
                told = [next_accepted(receiver) for _ in range(6)]
        assert told[:3] == [(1, "session.opened")] * 3  # two of them in vain
        assert told[3:] == [(2, "session.closed"), (3, "session.opened"), (4, "session.closed")]
        assert "hush" not in "".join(daemon.lines)
