"""From an issuer's `invalid_grant` to the push that closes the handle."""

import time
from collections.abc import Iterator

from sessiond.testing import FakeIssuer, FakeProcess
from sessiond.testing.answer import Answer, Asked
from tests.bench.bench import Bench
from tests.bench.figures import Row, waits
from tests.bench.tokens import grant_tokens

SESSIONS = 60
# A lease is an hour: refreshes are due 3.6 to 7.2 s after the tokens were issued.
SOON = "share = 0.0015\njitter = 0.0005"


def measure(bench: Bench) -> Iterator[Row]:
    """Measure sessions whose refresh is refused, one by one."""
    refused_at: dict[str, float] = {}  # by refresh token, monotonic, as the answer is sent

    def note(asked: Asked, _: Answer) -> None:
        refused_at[asked.form["refresh_token"]] = time.monotonic()

    refusing = FakeIssuer(on_answer=note)
    refusing.fail("token", error="invalid_grant")
    with (
        refusing.serve() as url,
        bench.daemon(extra=f'token_endpoint = "{url}/token"', refresh=SOON) as daemon,
        FakeProcess(daemon.address) as process,
    ):
        process.hello()
        refresh_tokens = {}
        for handle, each in enumerate(grant_tokens(bench.issuer, SESSIONS, prefix="revoked"), 1):
            login = process.log_in(each.user, f"{each.access};{each.refresh}", handle)
            refresh_tokens[login["session"]] = each.refresh
        taken = []
        for _ in range(SESSIONS):
            push = process.next_push()
            pushed_at = time.monotonic()
            if push["event"] != "revoked":
                raise RuntimeError(f"a push of {push['event']}")
            taken.append(pushed_at - refused_at[refresh_tokens[push["session"]]])
    remark = "a token endpoint of the bench sends it; until the q process has read the push"
    yield Row("invalid_grant sent, until the revoked push", waits(taken), remark)
