"""Explaining says what the login would come to, and does nothing of it."""

from dataclasses import replace
from typing import Any

import anyio
import pytest

from sessiond.core.changes import BeginRefresh, KeepGrant, Refresh, Revoke
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.revocation import Scope
from tests.fakes import (
    grant_id,
    idle,
    presented,
    principal,
    process_about,
    session_id,
    token_hash,
    verdict,
)
from tests.unit.control.viewing import Viewing, viewing
from tests.unit.gate.fakes import jwt, opaque

pytestmark = pytest.mark.anyio

CHECKS = ["token", "name", "route", "verification", "match", "admission", "proof"]


async def explained(
    v: Viewing, user: str = "alice", password: str = opaque()
) -> tuple[dict[str, Any], list[str]]:
    """Return the explanation, and its outcomes in order."""
    response = await v.ask("POST", "/v1/explain", json={"user": user, "password": password})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    assert [each["check"] for each in found["checks"]] == CHECKS
    assert len(v.store.commits) == 0
    assert password not in response.text or len(password) < 20
    return found, [each["outcome"] for each in found["checks"]]


async def test_a_login_that_would_be_accepted_is_shown_with_what_it_brings() -> None:
    async with viewing() as v:
        found, outcomes = await explained(v)
        assert outcomes == ["passed"] * 6 + ["skipped"]
        assert found["accepted"]
        assert {name: found[name] for name in ("user", "subject", "issuer", "roles")} == {
            "user": "alice",
            "subject": "subject of alice",
            "issuer": "corp",
            "roles": ["reader"],
        }
        assert found["expires_at"] == "2026-03-02T10:00:00Z"
        assert v.verifier.asked == ["opaque"]  # once, as the login would
        assert await v.alive() == set()


@pytest.mark.parametrize(
    ("user", "password", "failed", "reason"),
    [
        ("alice", "a plain password", 0, "nottoken"),
        ("alice", "bearer:", 0, "malformed"),
        ("alice", f"bearer:{'x' * 40000}", 0, "toolarge"),
        ("al\u0131ce", opaque(), 1, "usermismatch"),
        ("alice", jwt("https://elsewhere.example.com/"), 2, "wrongissuer"),
        ("bob", opaque(), 4, "usermismatch"),
    ],
)
async def test_the_first_check_that_fails_says_why_and_the_rest_is_skipped(
    user: str, password: str, failed: int, reason: str
) -> None:
    async with viewing() as v:
        found, outcomes = await explained(v, user, password)
        assert outcomes == ["passed"] * failed + ["failed"] + ["skipped"] * (6 - failed)
        assert not found["accepted"]
        assert found["reason"] == found["checks"][failed]["reason"] == reason
        assert found["checks"][failed]["detail"]


@pytest.mark.parametrize(
    ("says", "reason", "detail"),
    [
        (TokenRejected(Refusal.EXPIRED, "at or past exp"), "expired", "at or past exp"),
        (TokenRejected(Refusal.NOROLES, "no claim names a known role"), "noroles", "no claim"),
        (IssuerUnavailable("it answered 503"), "unavailable", "it answered 503"),
    ],
)
async def test_what_the_issuer_or_the_claims_say_is_the_verification(
    says: Any, reason: str, detail: str
) -> None:
    async with viewing() as v:
        v.verifier.says = says
        found, outcomes = await explained(v)
        assert outcomes == ["passed"] * 3 + ["failed"] + ["skipped"] * 3
        assert (found["reason"], found["user"]) == (reason, "")
        assert found["checks"][3]["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("aud", "is_hinted"),
    [
        ("api://kdb", True),
        (["api://kdb", "account"], True),
        (None, True),
        (7, True),
        ("sessiond", False),
        (["api://kdb", "sessiond"], False),
    ],
)
async def test_a_token_that_is_inactive_to_a_client_outside_its_aud_brings_a_hint(
    aud: object, is_hinted: bool
) -> None:
    async with viewing(introspects_as="sessiond") as v:
        v.verifier.says = TokenRejected(Refusal.INACTIVE, "the issuer says so")
        found, _ = await explained(v, password=jwt(aud=aud))
        detail = found["checks"][3]["detail"]
        assert detail.startswith("the issuer says so")
        assert ("does not name our client 'sessiond'" in detail) is is_hinted


@pytest.mark.parametrize(
    ("client", "password", "reason"),
    [
        ("", jwt(aud="api://kdb"), Refusal.INACTIVE),  # nobody introspects there
        ("sessiond", opaque(), Refusal.INACTIVE),
        ("sessiond", jwt(aud="api://kdb"), Refusal.WRONGSCOPE),
    ],
)
async def test_where_the_aud_is_not_why_there_is_no_hint(
    client: str, password: str, reason: Refusal
) -> None:
    async with viewing(introspects_as=client) as v:
        v.verifier.says = TokenRejected(reason, "the issuer says so")
        found, _ = await explained(v, password=password)
        assert found["checks"][3]["detail"] == "the issuer says so"


async def test_an_issuer_that_hangs_is_what_the_login_would_hear() -> None:
    async with viewing() as v:
        held = v.verifier.hold()
        v.settings.now = replace(v.settings.now, deadline=0.01)
        found, _ = await explained(v)
        assert found["reason"] == "deadline"
        held.set()
        await idle()


async def test_a_revoked_user_is_told_so_with_what_was_verified() -> None:
    async with viewing() as v:
        revoke = Revoke(id=session_id(1), scope=Scope.USER, value="alice", reason="x")
        await v.view.table.ask(revoke)
        v.store.commits.clear()
        found, outcomes = await explained(v)
        assert outcomes == ["passed"] * 5 + ["failed", "skipped"]
        assert (found["reason"], found["user"]) == ("revoked", "alice")


async def test_a_name_of_another_subject_is_told_so() -> None:
    async with viewing() as v:
        await v.log_in(1)
        v.store.commits.clear()
        v.verifier.says = verdict(principal("alice", subject="somebody else"))
        found, _ = await explained(v)
        assert found["reason"] == "usermismatch"
        assert found["checks"][5]["outcome"] == "failed"


async def test_where_a_refresh_must_prove_it_no_refresh_is_made() -> None:
    async with viewing(proved=frozenset({"corp"})) as v:
        refresh = "r" * 20
        found, outcomes = await explained(v, password=f"{'a' * 20};{refresh}")
        assert (found["accepted"], outcomes[-1]) == (True, "skipped")
        assert "refresh" in found["checks"][6]["detail"]


async def test_where_a_refresh_must_prove_it_and_none_can_it_is_refused() -> None:
    async with viewing(proved=frozenset({"corp"})) as v:
        v.store.commits.clear()
        found, outcomes = await explained(v)
        assert (found["reason"], outcomes[-1]) == ("wrongaudience", "failed")


async def test_what_a_refresh_has_proved_before_passes() -> None:
    async with viewing(proved=frozenset({"corp"})) as v:
        access, refresh = "a" * 20, "r" * 20
        tokens = presented(access, refresh)
        await v.view.table.ask(
            KeepGrant(about=process_about(), grant=grant_id(1), presented=tokens)
        )
        await v.view.table.ask(BeginRefresh(grant=grant_id(1), at_once=True))
        await v.view.table.ask(Refresh(grant=grant_id(1), verdict=verdict(), draw=0.5))
        v.store.commits.clear()
        assert token_hash(access) == tokens.access
        found, outcomes = await explained(v, password=f"{access};{refresh}")
        assert (found["accepted"], outcomes) == (True, ["passed"] * 7)


async def test_a_password_in_the_place_of_the_user_is_not_repeated() -> None:
    async with viewing() as v:
        secret = f"{'a' * 20};{'b' * 20}"
        response = await v.ask("POST", "/v1/explain", json={"user": secret, "password": secret})
        assert secret not in response.text
        assert response.json()["reason"] == "usermismatch"


async def test_many_explanations_at_once_share_the_question() -> None:
    async with viewing() as v:
        held = v.verifier.hold()
        answers: list[bool] = []

        async def one() -> None:
            found, _ = await explained(v)
            answers.append(found["accepted"])

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one)
            await idle()
            held.set()
        assert answers == [True] * 3
        assert len(v.verifier.asked) == 1
