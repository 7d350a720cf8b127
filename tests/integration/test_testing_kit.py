"""What plugin authors test with, on a whole daemon."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sessiond.testing import FakeIssuer, FakeProcess
from tests.running_daemon import RunningDaemon

Start = Callable[[str], RunningDaemon]
CONFIGURATION = """\
[listen]
port = {{port}}
directory = "{{folder}}"
control = "{{folder}}/c"
[store]
path = "{{folder}}/sessiond.db"
[[issuer]]
name = "corp"
issuer = "{url}"
insecure_http = true
refresh_client_id = "qstudio"
{rest}
"""
JWT = 'verify = "jwt"\naudience = ["api://kdb"]'
INTROSPECTION = """\
verify = "introspection"
client_id = "sessiond"
audience = ["api://kdb"]
client_secret_file = "{folder}/secret"
"""
USERINFO = 'verify = "userinfo"'


@pytest.mark.parametrize(
    ("verify", "is_opaque"),
    [(JWT, False), (INTROSPECTION, True), (USERINFO, True)],
    ids=["jwt", "introspection", "userinfo"],
)
def test_a_daemon_believes_the_fake_issuers_tokens_and_no_others(
    start: Start, folder: Path, verify: str, is_opaque: bool
) -> None:
    issuer = FakeIssuer()
    (folder / "secret").write_text("the fake issuer believes any")
    (folder / "secret").chmod(0o600)
    with issuer.serve() as url:
        daemon = start(CONFIGURATION.format(url=url, rest=verify))
        with FakeProcess(daemon.path) as q:
            q.hello()
            token = issuer.issue("alice", is_opaque=is_opaque)
            session = q.log_in("alice", token)["session"]
            assert q.log_in("alice", token, handle=6)["session"] != session
            q.log_out(handle=6)
            revoked = issuer.issue("alice", is_opaque=is_opaque, by_stranger=True)
            issuer.revoke(revoked)
            reason = "inactive" if is_opaque else "badsignature"
            with pytest.raises(PermissionError, match=reason):
                q.log_in("alice", revoked, handle=7)
            daemon.stop()
            assert q.next_push()["event"] == "bye"
            with pytest.raises(ConnectionError, match="closed the connection"):
                q.next_push()


def test_a_session_is_refreshed_until_the_issuer_says_no(start: Start) -> None:
    issuer = FakeIssuer()
    with issuer.serve() as url:
        daemon = start(CONFIGURATION.format(url=url, rest=JWT))
        with FakeProcess(daemon.path) as q:
            q.hello()
            q.log_in("alice", issuer.sign_in("alice", expires_in=3))
            assert q.next_push()["event"] == "refreshed"
            issuer.fail("token", error="invalid_grant")
            assert q.next_push()["event"] == "revoked"
    assert issuer.asked[-1].form["grant_type"] == "refresh_token"


def test_who_says_hello_to_nobody_is_told(start: Start) -> None:
    with pytest.raises(OSError, match="No such file"):
        FakeProcess("no-such-socket")
