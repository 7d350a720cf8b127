"""A ticket is explained check by check, as the login would judge it, and stays unspent."""

from dataclasses import replace
from typing import Any

import pytest

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.session import ActiveSession
from sessiond.tickets.issuing import IssuedTicket
from tests.fakes import presented, session_id
from tests.unit.control.test_ticketing import exchange, turn_on
from tests.unit.control.viewing import Viewing, viewing

pytestmark = pytest.mark.anyio

EVERY = ["shape", "type", "issuer", "signature", "time", "audience", "user", "admission"]


async def issued(daemon: Viewing, parent: ActiveSession) -> str:
    made = daemon.view.tickets.issuing.issue(await found(daemon, parent), "rdb1")
    assert isinstance(made, IssuedTicket)
    return f"ticket:{made.ticket.reveal()}"


async def found(daemon: Viewing, parent: ActiveSession) -> ActiveSession | None:
    rows = await daemon.view.table.rows()
    session = rows.sessions.get(parent.session.id)
    return None if session is None else ActiveSession(session=session, expires_at=parent.expires_at)


async def explained(
    daemon: Viewing, password: str, user: str = "alice", process: str | None = "rdb1"
) -> dict[str, Any]:
    at = None if process is None else {"name": process}
    body = {"user": user, "password": password, "process": at}
    answer = await daemon.ask("POST", "/v1/explain", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def outcomes(told: dict[str, Any]) -> list[str]:
    assert [each["check"] for each in told["checks"]] == EVERY
    return [each["outcome"][0] for each in told["checks"]]


async def test_a_good_one_passes_every_check_and_shows_whom_it_would_let_in() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        parent = await daemon.log_in(1)
        ticket = await issued(daemon, parent)
        for _ in range(2):  # it is not spent by that
            told = await explained(daemon, ticket)
            assert outcomes(told) == ["p"] * 8
            assert (told["accepted"], told["user"], told["roles"]) == (True, "alice", ["reader"])
        assert told["checks"][-1]["detail"] == "a login would spend it"


async def test_without_a_process_any_is_meant_and_that_is_said() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        ticket = await issued(daemon, await daemon.log_in(1))
        told = await explained(daemon, ticket, process=None)
        assert told["accepted"]
        assert "explain --process" in told["checks"][5]["detail"]


@pytest.mark.parametrize(
    ("user", "process", "reason", "marks"),
    [
        ("alice", "rdb2", "wrongaudience", "pppppfss"),
        ("bob", "rdb1", "usermismatch", "ppppppfs"),
    ],
)
async def test_the_first_check_that_fails_is_the_reason(
    user: str, process: str, reason: str, marks: str
) -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        ticket = await issued(daemon, await daemon.log_in(1))
        told = await explained(daemon, ticket, user, process)
        assert (told["accepted"], told["reason"]) == (False, reason)
        assert outcomes(told) == [*marks]
        told = await explained(daemon, "ticket:x")
        assert outcomes(told) == [*"fsssssss"]


async def test_one_of_a_session_that_has_ended_lets_nobody_in() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        parent = await daemon.log_in(1)
        ticket = await issued(daemon, parent)
        answer = await daemon.ask(
            "POST", "/v1/revocations", json={"session": str(session_id(1)), "reason": "x"}
        )
        assert answer.status_code == 200
        told = await explained(daemon, ticket)
        assert (told["reason"], outcomes(told)) == ("revoked", [*"pppppppf"])


async def test_the_ceiling_of_the_process_is_applied() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        ticket = await issued(daemon, await daemon.log_in(1))
        none = AccessRules(ceilings=(Ceiling(name="rdb1", roles=("other",)),))
        daemon.settings.now = replace(daemon.settings.now, access=none)
        assert (await explained(daemon, ticket))["reason"] == "noroles"
        asks = AccessRules(ceilings=(Ceiling(name="rdb1", acr=("phr",)),))
        daemon.settings.now = replace(daemon.settings.now, access=asks)
        assert (await explained(daemon, ticket))["reason"] == "stepup"
        assert (await explained(daemon, ticket, process=None))["accepted"]


async def test_one_for_a_token_shows_what_that_comes_to() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        ticket = f"ticket:{(await exchange(daemon)).json()['access_token']}"
        told = await explained(daemon, ticket)
        assert (told["accepted"], told["user"], told["roles"]) == (True, "alice", ["reader"])
        assert told["access"]["roles"] == ["reader"]
        none = AccessRules(ceilings=(Ceiling(name="rdb1", users=("bob",)),))
        daemon.settings.now = replace(daemon.settings.now, access=none)
        assert (await explained(daemon, ticket))["reason"] == "notallowed"
        revocation = {"user": "alice", "reason": "x"}
        await daemon.ask("POST", "/v1/revocations", json=revocation)
        assert (await explained(daemon, ticket))["reason"] == "revoked"
        assert presented().refresh is None
