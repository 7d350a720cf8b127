"""A start with many sessions in the table: all are there, and their refreshes hold up nobody."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, RunningIssuer
from tests.many_sessions import fill, session_number
from tests.running_daemon import configuration

COUNT = 20_000
HOUR = timedelta(hours=1)

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]


def test_every_session_is_there_and_a_login_comes_between_refreshes_that_are_all_due(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    now = datetime.now(UTC)
    fill(folder / "sessiond.db", COUNT, refresh_at=now, expires_at=now + HOUR)
    strict_issuer.control.fault("/token", "hang", count=ALWAYS)  # refreshes take their whole time
    text = configuration(
        strict_issuer,
        login="grace = 600.0\nunbound = 600.0",
        refresh="concurrency = 4\ntimeout = 20.0",
    )
    daemon = start(text)
    q = process(daemon)
    strict_issuer.control.wait_for_calls("/token", 4)
    assert q.connect(ALICE, strict_issuer.tokens()["access_token"])["ok"]
    assert strict_issuer.control.calls("/token") == 4
    with Operator(daemon) as operator:
        status = operator.get("/v1/status")
        assert (status["sessions"]["waiting"], status["grants"]) == (COUNT, COUNT + 1)
        assert status["last_sequence"] == COUNT
        one = operator.get(f"/v1/sessions/{session_number(COUNT - 1)}")
        assert one["user"] == f"user{COUNT - 1:06}@contoso.test"
        assert (one["roles"], one["attributes"]) == (["reader", "trading"], {"desk": "rates"})
        listed = Counter[str]()
        place: dict[str, str] = {}
        while listed.total() < COUNT:
            page = operator.get("/v1/sessions", limit=1000, issuer="corp", **place)
            listed.update(each["session"] for each in page["sessions"])
            place = {"after": page["next"]}
        assert set(listed.values()) == {1}
        assert operator.revoke(all=True)["revoked"] == COUNT + 1
