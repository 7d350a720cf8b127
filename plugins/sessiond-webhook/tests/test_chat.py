"""Events as chat messages, which show nothing but what they say."""

import json

import pytest
from msgspec import structs
from receiving import AT, Receiver, refused, revoked, webhook
from sessiond_webhook.chat import MAX_TEXT, body, line_of

from sessiond.api import Gap, Operator, SessionExpired
from sessiond.testing import EventFactory
from sessiond.testing.events import SourceMembers


@pytest.mark.anyio
async def test_a_chat_is_sent_a_text_and_needs_no_signature(
    keys: dict[str, object], receiver: Receiver
) -> None:
    del keys["secret_file"]
    hook = webhook({**keys, "format": "chat", "batch": 10})
    await hook.receive_batch([revoked(1), refused(2)])
    await hook.stop()
    (request,) = receiver.requests
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "text": "`session.revoked` user `alice@example.com` of `corp` on `gw1@host1`"
        " because `operator` at `2026-11-21 09:30:01+00:00`\n"
        "`login.refused` user `bob@example.com` of `corp` because `expired` times `3`"
        " at `2026-11-21 09:30:02+00:00`"
    }


def test_what_is_not_known_is_left_out() -> None:
    event = SessionExpired(sequence=1, at=AT, user="alice")
    assert line_of(event) == "`session.expired` user `alice` at `2026-11-21 09:30:00+00:00`"


def test_a_gap_says_what_is_missing() -> None:
    gap = Gap(sequence=9, at=AT, after=4, before=10)
    assert line_of(gap) == "`gap` events are missing after `4` and before `10`"


def test_an_order_says_who_gave_it_of_what_and_why() -> None:
    order = EventFactory().operator_revoked("alice", reason="left us", at=AT)
    assert line_of(order) == (
        "`operator.revoked` by `olga` of `user alice` because `left us` sessions `1`"
        " at `2026-11-21 09:30:00+00:00`"
    )


@pytest.mark.parametrize(("by", "shown"), [(Operator(uid=7, name=""), "uid 7"), (None, "a signal")])
def test_an_order_of_somebody_without_a_name_says_what_is_known(
    by: Operator | None, shown: str
) -> None:
    order = EventFactory().operator_reloaded(by=by, reason="", at=AT)
    assert line_of(order) == (
        f"`operator.reloaded` by `{shown}` of `configuration 2` sessions `0`"
        " at `2026-11-21 09:30:00+00:00`"
    )


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({}, "to `rdb1@tick.example.com`"),
        ({"process": None, "by": Operator(uid=7, name="olga")}, "to `olga`"),
        ({"process": None, "by": Operator(uid=7, name="")}, "to `uid 7`"),
        ({"user": "alice"}, "to `rdb1@tick.example.com` on behalf of `alice`"),
    ],
)
def test_a_token_for_a_data_source_says_to_whom_it_was_given(
    members: SourceMembers, shown: str
) -> None:
    made = EventFactory().issued("market-data", **members)
    issued = structs.replace(made, at=AT, count=3)
    assert line_of(issued) == (
        f"`source.issued` for `market-data` {shown} times `3` at `2026-11-21 09:30:00+00:00`"
    )


def test_what_an_operator_wrote_is_shown_with_the_session_that_it_ended() -> None:
    ended = EventFactory().revoked(detail="left us", at=AT)
    assert "because `operator` in words `left us` at" in line_of(ended)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("<!channel> & <@U1>", "`&lt;!channel&gt; &amp; &lt;@U1&gt;`"),
        ("` @channel `", "`' @channel '`"),
        ("a\nb\u202e\u200bc", "`a?b??c`"),
        ("x" * 101, f"`{'x' * 100}…`"),
        (" ", "`-`"),
        ("", "`-`"),
    ],
)
def test_a_typed_name_mentions_nobody_and_changes_nothing(typed: str, shown: str) -> None:
    assert f"user {shown} of `corp`" in line_of(refused(1, user=typed))


def test_a_message_has_as_many_lines_as_there_is_room_for() -> None:
    events = [revoked(sequence, reason="&" * 100) for sequence in range(1, 101)]
    text = json.loads(body(events))["text"]
    lines = text.split("\n")
    assert len(text.encode()) <= MAX_TEXT + len("\nand 100 more")
    assert len(lines) > 2
    assert lines[-1] == f"and {100 - (len(lines) - 1)} more"


def test_the_longest_line_still_fits() -> None:
    event = refused(1, user="&" * 1000)
    assert len(json.loads(body([event]))["text"]) == len(line_of(event))
