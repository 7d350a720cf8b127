"""Ids as short as tells them apart, found again by how they begin, before anything is done."""

from typing import Any
from uuid import UUID

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.ctl.client import Client, ControlError
from sessiond.ctl.short_ids import LEAST, SHOWN, full_id, shortened

IDS = st.lists(
    st.builds(
        lambda high, low: str(UUID(int=high << 96 | low)),
        st.sampled_from([0, 1, 0xB74F209C, 0xFFFFFFFF]),
        st.one_of(st.integers(0, 3), st.integers(0, 2**96 - 1)),
    ),
    unique=True,
    max_size=12,
)


class Listing(Client):
    """A daemon with these sessions, which it lists in the order of their ids."""

    def __init__(self, *ids: str) -> None:
        self.ids = sorted(ids)
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str, **query: str | int) -> Any:
        assert path == "/v1/sessions"
        self.asked.append(query)
        beyond = [each for each in self.ids if each > str(query.get("after", ""))]
        return {"sessions": [{"session": each} for each in beyond[: int(query["limit"])]]}


@given(ids=IDS)
def test_a_short_id_leads_back_to_its_session_and_to_no_other(ids: list[str]) -> None:
    daemon = Listing(*ids)
    for full, short in shortened(ids).items():
        assert len(short) >= SHOWN
        assert not short.endswith("-")
        assert full_id(daemon, short) == full
        assert sum(each.startswith(short) for each in ids) == 1


def test_ids_are_eight_characters_where_that_is_enough() -> None:
    one, other = "b74f209c-3033-4d95-bcc1-7b3e44aea694", "f8a7744d-4c01-436d-818e-3ffc59482426"
    assert shortened([other, one]) == {one: "b74f209c", other: "f8a7744d"}
    near = "b74f209c-4033-4d95-bcc1-7b3e44aea694"
    assert shortened([one, near]) == {one: "b74f209c-3", near: "b74f209c-4"}


def test_a_whole_id_is_taken_as_it_is_and_nobody_is_asked() -> None:
    daemon = Listing()
    for typed in ("B74F209C-3033-4D95-BCC1-7B3E44AEA694", "b74f209c30334d95bcc17b3e44aea694"):
        assert full_id(daemon, typed) == "b74f209c-3033-4d95-bcc1-7b3e44aea694"
    assert daemon.asked == []


@pytest.mark.parametrize("typed", ["b74f2", "b74f2-", "", "alice", "b74f209x", "0" * 33, "../x12"])
def test_what_is_no_beginning_of_an_id_ends_with_64(typed: str) -> None:
    daemon = Listing()
    with pytest.raises(click.UsageError, match=f"{LEAST} characters"):
        full_id(daemon, typed)
    assert daemon.asked == []


def test_several_that_begin_so_are_named() -> None:
    daemon = Listing("b74f209c-3033-4d95-bcc1-7b3e44aea694", "b74f209d-4c01-436d-818e-3ffc59482426")
    with pytest.raises(click.UsageError) as raised:
        full_id(daemon, "b74f209")
    assert ", ".join(daemon.ids) in raised.value.message


def test_very_many_that_begin_so_are_not_all_named() -> None:
    daemon = Listing(*(str(UUID(int=number)) for number in range(100)))
    with pytest.raises(click.UsageError, match=", …; type one more"):
        full_id(daemon, "000000")
    assert len(daemon.asked) == 1


def test_one_that_nobody_has_ends_with_66() -> None:
    daemon = Listing("b74f209c-3033-4d95-bcc1-7b3e44aea694")
    for typed in ("b74f20ab", "ffffffff", "000000"):
        with pytest.raises(ControlError, match="sessionctl list") as raised:
            full_id(daemon, typed)
        assert raised.value.code == 66
