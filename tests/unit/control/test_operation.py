"""What an operation may be like: its own list, a body taken as it is, no turns, other refusals."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import anyio
import pytest
from msgspec import Struct
from starlette.responses import Response

from sessiond.control.access import Access, Right, admit
from sessiond.control.openapi import document
from sessiond.control.operation import Asked, Operation
from sessiond.control.operations import OPERATIONS
from sessiond.control.view import View
from sessiond.system.peer import AllowList, Peer
from tests.fakes import idle
from tests.unit.control.viewing import ADMIN, STRANGER, Viewing, problem, viewing

pytestmark = pytest.mark.anyio

PATH = "/v1/kept"
LISTED = Peer(uid=64998, groups=frozenset(), pid=3, started=3)
NOBODY = Access.of(readers=[64000], admins=[64001])


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    note: str = ""


class Refused(Struct, frozen=True, kw_only=True):
    error: str


async def echo(_: View, asked: Asked) -> Response:
    told = f"{asked.query.name}/{asked.headers.get('lock')}/".encode()
    return Response(told + asked.content, media_type="application/octet-stream")


def admit_listed(_: View, peer: Peer, __: Mapping[str, str]) -> None:
    admit(peer, AllowList.exactly("kept.users", [LISTED.uid]), key="kept.users", path=PATH)


def kept(**different: Any) -> Operation:
    return Operation(
        **{
            "method": "PUT",
            "path": PATH,
            "summary": "Keep something",
            "carry_out": echo,
            "right": Right.CONNECT,
            "admit": admit_listed,
            "only_for": "kept.users",
            "query": Wanted,
            "content": frozenset({"*/*"}),
            "content_limit": 8,
            "headers": {"Lock": {"type": "string"}},
            "answer": "application/octet-stream",
            **different,
        }
    )


async def asked(v: Viewing, content: bytes = b"", **headers: str) -> Any:
    return await v.ask("PUT", f"{PATH}?name=n", content=content, headers=headers)


async def test_nothing_that_is_sent_is_shown_where_a_request_is() -> None:
    shown = list[str]()

    async def show(_: View, asked: Asked) -> Response:
        shown.append(repr(asked))
        return Response()

    async with viewing(operations=[kept(carry_out=show, content_limit=20)]) as v:
        v.peer = LISTED
        assert (await asked(v, b"a secret token", lock="another")).status_code == 200
    (said,) = shown
    assert "name='n'" in said
    assert "secret" not in said
    assert "another" not in said


async def test_its_own_list_admits_whom_it_names_though_he_is_no_reader() -> None:
    async with viewing(access=NOBODY, operations=(kept(),)) as v:
        v.peer = LISTED
        assert (await asked(v)).content == b"n/None/"
        for peer in (STRANGER, ADMIN):  # root is not among those whom it names exactly
            v.peer = peer
            told = problem(await v.ask("PUT", f"{PATH}?nonsense"), 403)
            assert told == f"user {peer.uid} is not among kept.users, who may do that"


async def test_a_body_comes_as_it_is_with_any_media_type_and_headers_in_lower_case() -> None:
    async with viewing(operations=(kept(),)) as v:
        v.peer = LISTED
        answer = await asked(v, b"\x00\xff", LOCK="7", **{"content-type": "text/odd"})
        assert answer.content == b"n/7/\x00\xff"
        assert (await asked(v, b"12345678")).content == b"n/None/12345678"
        assert "more than 8 bytes" in problem(await asked(v, b"123456789"), 413)


async def test_a_header_that_is_there_twice_is_a_list() -> None:
    async with viewing(operations=(kept(),)) as v:
        v.peer = LISTED
        answer = await v.ask("PUT", f"{PATH}?name=n", headers=[("lock", "1"), ("lock", "2")])
        assert answer.content == b"n/1, 2/"


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("application/x-www-form-urlencoded; charset=utf-8", 200),
        ("Application/X-WWW-Form-Urlencoded", 200),
        ("text/plain", 415),
        ("", 415),
    ],
)
async def test_a_media_type_may_be_asked_for(told: str, status: int) -> None:
    form = kept(content=frozenset({"application/x-www-form-urlencoded"}))
    async with viewing(operations=(form,)) as v:
        v.peer = LISTED
        answer = await asked(v, b"a=b", **{"content-type": told})
        assert answer.status_code == status
        if status == 415:
            wanted = "the body must be application/x-www-form-urlencoded"
            assert problem(answer, 415) == wanted


async def test_a_brisk_one_waits_for_no_other_and_only_so_many_are_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sessiond.control.turns.MAX_WAITING", 2)
    begun, over = list[int](), anyio.Event()

    async def wait(_: View, __: Asked) -> None:
        begun.append(1)
        await over.wait()

    brisk = kept(carry_out=wait, is_brisk=True, lane="kept", answer=None)
    async with viewing(operations=(brisk,)) as v, anyio.create_task_group() as tasks:
        v.peer = LISTED
        for _ in range(2):
            tasks.start_soon(asked, v)
        await idle()
        assert len(begun) == 2
        assert "too many requests of yours wait" in problem(await asked(v), 429)
        over.set()
        await idle()
        assert (await asked(v)).status_code == 204


TICKETS = ("/v1/keys", "/v1/token")


def test_whoever_only_connects_is_asked_for_by_a_list() -> None:
    for each in OPERATIONS:
        if each.path in TICKETS:  # public keys; and whoever is refused hears it in OAuth's words
            continue
        is_listed = each.admit is not None and bool(each.only_for)
        assert is_listed is (each.right is Right.CONNECT), each.path


def test_all_of_it_is_described() -> None:
    exchange = kept(refusals={HTTPStatus.BAD_REQUEST: Refused})
    described = document((*OPERATIONS, exchange))["paths"][PATH]["put"]
    assert described["description"] == "For those in kept.users only."
    assert [(each["name"], each["in"], each["required"]) for each in described["parameters"]] == [
        ("name", "query", True),
        ("note", "query", False),
        ("Lock", "header", True),
    ]
    assert described["requestBody"] == {
        "required": False,
        "content": {"*/*": {"schema": {"type": "string", "maxLength": 8}}},
    }
    refusal = described["responses"]["400"]["content"]["application/json"]["schema"]
    assert refusal == {"$ref": "#/components/schemas/Refused"}
    assert set(described["responses"]) == {"200", "400", "default"}
