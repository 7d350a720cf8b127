"""Keys are anybody's to read; tokens are exchanged for those who are listed, in the RFC's words."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.system.peer import AllowList
from tests.fakes import idle, principal, verdict
from tests.unit.control.viewing import ADMIN, STRANGER, Viewing, viewing
from tests.unit.tickets.making import SETTINGS

pytestmark = pytest.mark.anyio

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SECRET = "a-token-that-nobody-else-may-see"


async def turn_on(daemon: Viewing) -> None:
    daemon.ticketed.now = SETTINGS
    await daemon.view.tickets.keys.see_to()
    exchangers = AllowList(users=frozenset({ADMIN.uid}), groups=frozenset())
    daemon.settings.now = replace(daemon.settings.now, exchangers=exchangers)


async def exchange(daemon: Viewing, **changed: str) -> httpx.Response:
    form = {
        "grant_type": EXCHANGE,
        "subject_token": SECRET,
        "subject_token_type": ACCESS_TOKEN,
        "audience": "rdb1",
        **changed,
    }
    return await daemon.ask("POST", "/v1/token", data=form)


async def test_the_keys_are_for_everybody_who_may_connect() -> None:
    async with viewing() as daemon:
        daemon.peer = STRANGER
        assert await daemon.get("/v1/keys") == {"keys": []}
        await turn_on(daemon)
        [key] = (await daemon.get("/v1/keys"))["keys"]
        assert set(key) == {"kty", "crv", "x", "use", "alg", "kid"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == (
            "OKP",
            "Ed25519",
            "sig",
            "EdDSA",
        )


async def test_a_token_is_exchanged_for_who_is_listed() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        with capture_logs() as logs:
            answer = await exchange(daemon)
        assert answer.status_code == 200
        body = answer.json()
        assert body.pop("access_token").startswith("eyJ")
        assert body == {
            "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_type": "N_A",
            "expires_in": 30,
        }
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        [told] = [each for each in logs if each["event"] == "exchange"]
        assert (told["outcome"], told["user"], told["audience"]) == ("issued", "alice", "rdb1")
        assert told["uid"] == ADMIN.uid
        assert SECRET not in repr(logs)
        assert daemon.view.tickets.counts.issued == {"exchange": 1}


async def test_nobody_else_gets_one() -> None:
    async with viewing() as daemon:
        answer = await exchange(daemon)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        await turn_on(daemon)
        daemon.peer = STRANGER
        answer = await exchange(daemon)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        assert daemon.verifier.asked == []


@pytest.mark.parametrize(
    ("says", "status", "error", "told"),
    [
        (TokenRejected(Refusal.EXPIRED, "x"), 400, "invalid_request", "expired"),
        (IssuerUnavailable("x"), 503, "temporarily_unavailable", "unavailable"),
    ],
)
async def test_a_refused_token_is_told_to_operators_and_by_a_word_to_who_asked(
    says: Exception, status: int, error: str, told: str
) -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        daemon.verifier.says = says
        with capture_logs() as logs:
            answer = await exchange(daemon)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.json()["error_description"] == f"the subject token is refused: {told}"
        assert answer.headers.get("retry-after") == ("1" if status == 503 else None)
        [line] = [each for each in logs if each["event"] == "exchange"]
        assert (line["outcome"], line["reason"]) == ("refused", told)
        assert daemon.view.tickets.counts.refused == {("exchange", told): 1}
        await daemon.clock.advance(2.0)
        await idle()
        [event] = [each for each in daemon.store.events if each.kind == "login.refused"]
        assert (event.issuer, event.process) == ("corp", None)


async def test_a_disk_that_is_away_is_told_in_the_same_words() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        daemon.view.table.close()
        await idle()
        answer = await exchange(daemon)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


async def test_status_shows_the_keys_and_the_numbers() -> None:
    async with viewing() as daemon:
        assert (await daemon.get("/v1/status"))["tickets"] is None
        await turn_on(daemon)
        await exchange(daemon)
        status: dict[str, Any] = (await daemon.get("/v1/status"))["tickets"]
        [key] = status.pop("keys")
        assert key["is_signing"]
        assert status.pop("next_key_at").startswith("2026-03-31")
        assert status == {
            "issuer": SETTINGS.issuer,
            "issued": 1,
            "exchanged": 1,
            "spent": 0,
            "refused": 0,
        }


async def test_every_user_is_who_the_token_says() -> None:
    async with viewing() as daemon:
        await turn_on(daemon)
        daemon.verifier.says = verdict(principal("bob"))
        assert (await exchange(daemon)).status_code == 200
        assert daemon.view.tickets.counts.issued["exchange"] == 1
