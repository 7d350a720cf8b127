"""What requests over HTTP cost that q asks about: let in, sent to sign in, and refused."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from sessiond.qipc import MessageKind, encode_message, text
from sessiond.testing import FakeProcess, calls
from tests.bench import load
from tests.bench.bench import FLOOR, PATIENT, Bench, taking_turns
from tests.bench.everybody import Control
from tests.bench.figures import Row, waits
from tests.bench.load import Caller, Load, Plan, call_until_done
from tests.bench.minting import AUDIENCE
from tests.bench.speech import Kdb, Login, Verdict, members_of
from tests.issuer.running import ALICE
from tests.running_daemon import RunningDaemon
from tests.web_gateway import HTML, Gateway

AUTHORITY = "gw.test:5007"
BASE = f"https://{AUTHORITY}"
CALLS = 200  # a round, one after the other
ROUNDS = 5
REVOKED = 50  # sessions, one by one
PREFIX = "fast"  # of the users whose bearers are the fast issuer's
BEARER, FIRST, COOKIE, BEGUN = (
    "request by a known bearer, let in",
    "request by a first bearer, let in",
    "request by a cookie, let in",
    "request of nobody, sent to sign in",
)
NOTES = {FIRST: "its signature verified, its session committed"}


class Requests(Kdb):
    """What comes over HTTP, all of which is to come to one thing."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted

    def verdict(self, answer: bytes) -> Verdict:
        members = members_of(answer)
        action, reason = text(members["action"]), text(members["reason"])
        return Verdict("" if action == self._wanted else reason or action, b"")


def measure(bench: Bench) -> Iterator[Row]:
    """Measure each kind of request in turns with the floor, then revocations."""
    count, rounds = bench.few(CALLS), bench.rounds(ROUNDS)
    with _daemon(bench) as daemon, FakeProcess(daemon.address) as process:
        process.hello()
        *bearers, (_, seen) = bench.minted(PREFIX, rounds * count + REVOKED + 1)
        known = requested(bearer=seen)
        page = partial(requested, accept=HTML, host=AUTHORITY)
        by_cookie = page(cookie=_signed_in(bench, process))
        put = partial(asked, daemon, process, issuers=(bench.issuer.pid, bench.fast.pid))
        put([known], "allow")  # the keys are fetched now, and it is committed

        def first(number: int) -> Load:
            unseen = bearers[number * count : (number + 1) * count]
            return put([requested(bearer=token) for _, token in unseen], "allow")

        contestants: dict[str, Callable[[int], Load]] = {
            FLOOR: lambda _: bench.floor_round(),
            BEARER: lambda _: put([known] * count, "allow"),
            COOKIE: lambda _: put([by_cookie] * count, "allow"),
            FIRST: first,
            BEGUN: lambda _: put([page()] * count, "redirect"),
        }
        found = taking_turns(rounds, contestants)
        revoked = waits(list(_revoked(daemon, process, bearers[rounds * count :])))
    yield from (
        Row(what, found[what], NOTES.get(what, "")) for what in contestants if what != FLOOR
    )
    remark = "by his bearer, asked about as soon as q has the push"
    yield Row("revoking a user, until his next request is refused", revoked, remark)


def requested(**said: str) -> bytes:
    """Return the call about a request, as it is sent."""
    return encode_message(MessageKind.SYNC, calls.web_call(**said))


def asked(
    daemon: RunningDaemon,
    process: FakeProcess,
    requests: Sequence[bytes],
    wanted: str,
    *,
    issuers: Sequence[int],
) -> Load:
    """Ask about one request after the other, from here: a cookie is good at its process alone."""
    found = Load()
    caller = Caller(
        process.socket, Requests(wanted), iter(requests), opens=False, waits=found.waits
    )
    plan = Plan(daemon.address, daemon.pid, issuers, [])
    load.measure(plan, found, partial(call_until_done, [caller], []))
    found.outcomes += caller.outcomes
    return found


@contextmanager
def _daemon(bench: Bench) -> Iterator[RunningDaemon]:
    """Run a daemon of both issuers: browsers sign in at npm's, bearers are the fast one's."""
    bench.issuer.control.register_web_bases(BASE)
    extra = f"""
verify = "jwt"
audience = ["api://kdb"]
users = ["{ALICE}"]
[issuer.web]
client_id = "kdb-web-public"
[[issuer]]
name = "fast"
issuer = "{bench.fast.issuer}"
insecure_http = true
client_id = "sessiond"
verify = "jwt"
audience = ["{AUDIENCE}"]
typ = ["JWT"]
users = ["{PREFIX}*"]
"""
    with bench.daemon(extra=extra, login=PATIENT, web=f'bases = ["{BASE}"]') as daemon:
        yield daemon


def _signed_in(bench: Bench, process: FakeProcess) -> str:
    """Return the cookie of a browser that has signed in."""
    browser = Gateway(process, BASE, bench.issuer)
    with closing(browser.elsewhere):
        browser.sign_in()
    return browser.cookie


def _revoked(
    daemon: RunningDaemon, process: FakeProcess, bearers: Sequence[Login]
) -> Iterator[float]:
    """Yield the seconds of each; a process keeps who was let in, so it asks once it has the push.

    Raises:
        RuntimeError: Something else came of it.
    """
    with closing(Control(daemon.folder / "c")) as control:
        for user, token in bearers:
            session = process.web(bearer=token)["session"]
            body = json.dumps({"user": user, "reason": "bench"})  # of a session: it begins another
            began = time.monotonic()
            control.request("POST", "/v1/revocations", body, {"Content-Type": "application/json"})
            push = process.next_push()
            answer = process.web(bearer=token)
            yield time.monotonic() - began
            control.getresponse().read()
            if (push["session"], answer["reason"]) != (session, "revoked"):
                raise RuntimeError(f"a push of {push['event']}, then {answer['action']}")
