"""Explaining says what the login would come to, and does nothing of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from sessiond.core.access import AccessRules, Ceiling, LocalGrant
from sessiond.core.changes import BeginRefresh, KeepGrant, Refresh, Revoke
from sessiond.core.claims import ClaimRules
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
    v: Viewing, user: str = "alice", password: str = opaque(), *, at: dict[str, str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the explanation, and its outcomes in order."""
    body = {"user": user, "password": password} | ({} if at is None else {"process": at})
    response = await v.ask("POST", "/v1/explain", json=body)
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


RULES = AccessRules(
    protected=("admin",),
    grants=(LocalGrant(users=("ali*",), roles=("ops",)),),
    ceilings=(
        Ceiling(name="gateway*", roles=("reader", "ops"), users=("alice",)),
        Ceiling(name="desk", users=("bob",)),
        Ceiling(name="strict", max_age=timedelta(hours=8), acr=("mfa",)),
        Ceiling(name="empty", roles=("nobody",)),
    ),
)
GIVEN = {"reader": ("claim roles: kdb.read",), "admin": ("role source ldap",), "guest": ("x",)}


@asynccontextmanager
async def ruled() -> AsyncIterator[Viewing]:
    """Give a view of a daemon with `[access]` tables, and of a user with three roles."""
    async with viewing() as v:
        v.settings.now = replace(v.settings.now, access=RULES)
        v.verifier.says = verdict().assigning(GIVEN)
        yield v


async def test_at_a_process_the_roles_are_shown_before_and_after_each_step() -> None:
    async with ruled() as v:
        found, outcomes = await explained(v, at={"name": "gateway1", "type": "gateway"})
        assert outcomes == ["passed"] * 6 + ["skipped"]
        assert (found["accepted"], found["roles"]) == (True, ["ops", "reader"])
        assert found["process"] == {"name": "gateway1", "type": "gateway"}
        ceiling = found["access"].pop("ceiling")
        assert found["access"] == {
            "assigned": {role: list(whys) for role, whys in GIVEN.items()},
            "protected": ["admin"],
            "granted": {"ops": ["access.grant[1]"]},
            "before_ceiling": ["guest", "ops", "reader"],
            "cut": ["guest"],
            "roles": ["ops", "reader"],
        }
        assert (ceiling["number"], ceiling["name"], ceiling["roles"]) == (
            1,
            "gateway*",
            ["reader", "ops"],
        )


@pytest.mark.parametrize("at", [None, {"name": "other"}])
async def test_without_a_process_or_a_table_for_it_no_ceiling_cuts(
    at: dict[str, str] | None,
) -> None:
    async with ruled() as v:
        found, _ = await explained(v, at=at)
        assert found["roles"] == ["guest", "ops", "reader"]
        assert (found["access"]["ceiling"], found["access"]["cut"]) == (None, [])
        assert (found["process"] is None) == (at is None)


async def test_a_process_whose_type_its_ceiling_depends_on_is_asked_for_with_it() -> None:
    tables = (Ceiling(name="rdb*", type="rdb", roles=("reader",)),)
    async with ruled() as v:
        v.settings.now = replace(v.settings.now, access=AccessRules(ceilings=tables))
        body = {"user": "alice", "password": opaque(), "process": {"name": "RDB1"}}
        response = await v.ask("POST", "/v1/explain", json=body)
        assert response.status_code == 400
        assert "add it, as NAME:TYPE" in response.text
        found, _ = await explained(v, at={"name": "RDB1", "type": "rdb"})
        assert found["roles"] == ["reader"]
        found, _ = await explained(v, at={"name": "gateway1"})  # no table tells these apart
        assert found["access"]["ceiling"] is None


@pytest.mark.parametrize(
    ("name", "reason"), [("desk", "notallowed"), ("strict", "stepup"), ("empty", "noroles")]
)
async def test_what_a_process_would_refuse_is_refused_with_its_reason(
    name: str, reason: str
) -> None:
    async with ruled() as v:
        found, outcomes = await explained(v, at={"name": name})
        assert outcomes == ["passed"] * 5 + ["failed", "skipped"]
        assert (found["accepted"], found["reason"], found["roles"]) == (False, reason, [])
        assert found["checks"][5]["reason"] == reason
        assert found["checks"][5]["detail"]
        assert found["access"]["before_ceiling"] == ["guest", "ops", "reader"]


async def test_a_protected_role_alone_is_shown_as_dropped() -> None:
    async with ruled() as v:
        v.verifier.says = verdict(principal("bob")).assigning({"admin": ("default_roles",)})
        found, _ = await explained(v, "bob")
        assert (found["reason"], found["access"]["protected"]) == ("noroles", ["admin"])
        assert found["access"]["before_ceiling"] == []


async def test_claims_are_named_and_their_values_are_not_shown() -> None:
    async with ruled() as v:
        rules = ClaimRules(
            issuer="corp",
            user_claim="upn",
            subject_claim="sub",
            lease=timedelta(hours=1),
            roles_claim=("roles",),
            attributes={"department": "desk"},
        )
        issuers = {"corp": replace(v.view.issuers["corp"], claims=rules)}
        v.settings.now = replace(v.settings.now, issuers=issuers)
        found, _ = await explained(v, at={"name": "strict"})
        assert [(each["claim"], each["used_for"]) for each in found["claims"]] == [
            ("upn", "name"),
            ("sub", "subject"),
            ("roles", "roles"),
            ("department", "attribute desk"),
            ("auth_time", "sign-in"),
            ("acr", "sign-in"),
            ("acrs", "sign-in"),
        ]


async def test_of_a_token_that_is_not_verified_no_step_is_shown() -> None:
    async with ruled() as v:
        found, _ = await explained(v, password="plain", at={"name": "desk"})
        assert (found["access"], found["claims"], found["process"]["name"]) == (None, [], "desk")


@pytest.mark.parametrize("process", [{}, {"name": ""}, {"name": "a", "pid": 1}, "gateway"])
async def test_a_process_is_a_name_and_a_type(process: object) -> None:
    async with viewing() as v:
        body = {"user": "alice", "password": opaque(), "process": process}
        response = await v.ask("POST", "/v1/explain", json=body)
        assert 400 <= response.status_code < 500
