"""Many processes, and one that floods: nobody else's login is refused for it."""

import threading

import pytest

from sessiond.qipc import encode_message
from sessiond.qipc.messages import MessageKind
from sessiond.testing import FakeProcess
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict
from tests.integration.conftest import Start
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import configuration

MANY = 1000
FLOOD = 10_000


@pytest.mark.heavy
def test_a_thousand_processes_have_a_session_each(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    call = connect_call(ALICE, strict_issuer.tokens()["access_token"])
    with PeerFarm(daemon.address, MANY) as farm:
        processes = [FakeProcess(each) for each in farm.sockets]
        for process in processes:
            process.hello()
            process.ask(call)
        answers = [plain_dict(process.answer()) for process in processes]
        assert [answer["ok"] for answer in answers] == [True] * MANY
        assert len({answer["session"] for answer in answers}) == MANY


def flood(q: FakeProcess, token: str) -> None:
    """Send logins without end, as fast as the socket takes them."""
    for handle in range(1, FLOOD + 1):
        q.send(encode_message(MessageKind.SYNC, connect_call(ALICE, token, handle)))


@pytest.mark.heavy
@pytest.mark.timeout(180)  # ten thousand commits, on a machine that other tests share
def test_a_process_that_floods_makes_no_other_process_miss_its_deadline(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    token, other = (strict_issuer.tokens(user)["access_token"] for user in (ALICE, BOB))
    with PeerFarm(daemon.address, 2) as farm:
        flooding, quiet = (FakeProcess(each) for each in farm.sockets)
        for q in (flooding, quiet):
            q.hello()
        flooding.expect(FLOOD)
        sending = threading.Thread(target=flood, args=(flooding, token))
        sending.start()
        reasons: set[str] = set()
        quiet_reasons: set[str] = set()
        for answered in range(1, FLOOD + 1):
            reasons.add(plain_dict(flooding.answer())["reason"])
            if answered % 200 == 0:
                quiet_reasons.add(quiet.connect(BOB, other, answered)["reason"])
        sending.join()
        assert quiet_reasons == {""}
        assert reasons <= {"", "throttled", "deadline"}
        assert "" in reasons
