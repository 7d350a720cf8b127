"""Who gives an order is known by the kernel's number, and by a name where the host has one."""

import os
import pwd
import time

import anyio
import pytest

from sessiond.control import operator
from sessiond.control.operator import check_words, operator_of
from sessiond.control.problem import Problem
from sessiond.system.peer import Peer
from tests.unit.control.viewing import TOKEN

pytestmark = pytest.mark.anyio

NOBODY = 3_999_999_999


def peer(uid: int) -> Peer:
    return Peer(uid=uid, groups=frozenset(), pid=1, started=1)


async def test_an_operator_has_the_name_that_the_host_knows() -> None:
    found = await operator_of(peer(0))
    assert (found.uid, found.name) == (0, pwd.getpwuid(0).pw_name)


async def test_one_whom_the_host_does_not_know_is_a_number() -> None:
    found = await operator_of(peer(NOBODY))
    assert (found.uid, found.name) == (NOBODY, "")


async def test_a_directory_that_hangs_keeps_no_order_from_being_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, over = anyio.Event(), list[bool]()

    def hang(uid: int) -> str:
        anyio.from_thread.run_sync(asked.set)
        while not over:
            time.sleep(0.001)
        return "late"

    monkeypatch.setattr(operator, "_name_of", hang)
    monkeypatch.setattr(operator, "WITHIN", 0.0)
    try:
        found = await operator_of(peer(os.geteuid()))
    finally:
        over.append(True)
    assert (found.uid, found.name) == (os.geteuid(), "")


@pytest.mark.parametrize("words", ["", "left us", "Müller left: ticket 42 (urgent)"])
def test_words_that_can_be_shown_are_taken(words: str) -> None:
    check_words(words)


@pytest.mark.parametrize("words", [TOKEN, "see \u202ereversed", "two\u2028lines"])
def test_words_that_cannot_be_shown_to_everybody_are_refused(words: str) -> None:
    with pytest.raises(Problem, match=r"^reason: there is something"):
        check_words(words)
