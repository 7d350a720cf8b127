"""Receivers that are away, slow, failing, or hostile."""

from collections.abc import Callable

import pytest
import trustme
from receiving import (
    PATIENCE,
    SECRET,
    Behave,
    FakeClock,
    Receiver,
    answering,
    endless_before_the_status,
    half_an_answer,
    hang_up,
    huge,
    never,
    reset,
    revoked,
    signatures,
    webhook,
)
from sessiond_webhook import DeliveryError

from sessiond.api import TryLater

pytestmark = pytest.mark.anyio

GARBAGE = b"secret-of-the-receiver\r\n\r\n"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again_with_the_same_body_and_id(
    keys: dict[str, object], receiver: Receiver, status: int
) -> None:
    clock = FakeClock()
    receiver.behaviours = [answering(status), answering(status)]
    hook = webhook(keys, clock)
    await hook.receive_batch([revoked(1)])
    await hook.stop()
    assert clock.slept == [0.5, 1.0]
    assert len({(each.headers["webhook-id"], each.body) for each in receiver.requests}) == 1
    assert [signatures(each, SECRET) for each in receiver.requests] == [[True]] * 3
    assert [each.headers["webhook-timestamp"] for each in receiver.requests] == [
        "1795253400",
        "1795253400",
        "1795253401",
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (301, "redirects are not followed"),
        (307, "redirects are not followed"),
        (400, "status 400"),
        (401, "it refuses our authorization or signature"),
        (403, "it refuses our authorization or signature"),
        (404, "status 404"),
        (410, "it wants no more events"),
        (413, "a smaller batch"),
    ],
)
async def test_what_will_not_pass_is_raised_at_once(
    keys: dict[str, object], receiver: Receiver, status: int, words: str
) -> None:
    clock = FakeClock()
    location = f"location: https://localhost:{receiver.port}/elsewhere"
    receiver.behaviours = [answering(status, location, body=b"secret-of-the-receiver")]
    hook = webhook(keys, clock)
    with pytest.raises(DeliveryError) as raised:
        await hook.receive_batch([revoked(1)])
    await hook.stop()
    text = str(raised.value)
    assert text.startswith(f"localhost:{receiver.port}: status {status}")
    assert words in text
    assert not any(hidden in text for hidden in ("hush", "hook", "secret", "elsewhere"))
    assert len(receiver.requests) == 1
    assert clock.slept == []


@pytest.mark.parametrize(
    ("status", "is_outage"),
    [(code, False) for code in (301, 400, 403, 413, 422, 500)]
    + [(code, True) for code in (401, 404, 408, 410, 425, 429, 502, 503, 504)],
)
async def test_an_event_is_blamed_only_for_what_may_be_about_it(
    keys: dict[str, object], receiver: Receiver, status: int, is_outage: bool
) -> None:
    receiver.behaviours = [answering(status)] * 100
    hook = webhook(keys, FakeClock())
    with pytest.raises(DeliveryError) as raised:
        await hook.receive_batch([revoked(1)])
    await hook.stop()
    assert isinstance(raised.value, TryLater) == is_outage


async def test_tries_end_within_patience(keys: dict[str, object], receiver: Receiver) -> None:
    clock = FakeClock()
    receiver.behaviours = [answering(503)] * 100
    hook = webhook({**keys, "patience": 10.0}, clock)
    with pytest.raises(TryLater, match=r"status 503; tries: 5"):
        await hook.receive_batch([revoked(1)])
    await hook.stop()
    assert clock.slept == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("header", "pause"),
    [("7", 7.0), ("Sat, 21 Nov 2026 09:30:09 GMT", 9.0), ("soon", 0.5), ("-3", 0.5), ("", 0.5)],
)
async def test_retry_after_is_obeyed(
    keys: dict[str, object], receiver: Receiver, header: str, pause: float
) -> None:
    clock = FakeClock()
    receiver.behaviours = [answering(429, f"retry-after: {header}")]
    hook = webhook(keys, clock)
    await hook.receive_batch([revoked(1)])
    await hook.stop()
    assert clock.slept == [pause]
    assert len(receiver.requests) == 2


async def test_silence_longer_than_patience_is_kept_over_the_daemons_own_tries(
    keys: dict[str, object], receiver: Receiver
) -> None:
    clock = FakeClock()
    receiver.behaviours = [answering(429, "retry-after: 50")]
    hook = webhook({**keys, "patience": 20.0}, clock)
    with pytest.raises(DeliveryError, match="429: too many requests; tries: 1"):
        await hook.receive_batch([revoked(1)])
    for left in (30, 10):
        with pytest.raises(TryLater, match=rf"silence, {left} s more; tries: 0"):
            await hook.receive_batch([revoked(1)])
    assert len(receiver.requests) == 1
    await hook.receive_batch([revoked(1)])
    await hook.stop()
    assert clock.slept == [20.0, 20.0, 10.0]
    assert len(receiver.requests) == 2


async def test_nobody_is_silenced_for_longer_than_an_hour(
    keys: dict[str, object], receiver: Receiver
) -> None:
    clock = FakeClock()
    receiver.behaviours = [answering(503, f"retry-after: {'9' * 30}")]
    hook = webhook(keys, clock)
    with pytest.raises(DeliveryError):
        await hook.receive_batch([revoked(1)])
    await clock.sleep(3600)
    await hook.receive_batch([revoked(1)])
    await hook.stop()


@pytest.mark.parametrize(
    ("behave", "short", "words"),
    [
        (reset, PATIENCE, "the connection was lost"),
        (hang_up, PATIENCE, "its answer is not HTTP, or broke off"),
        (lambda it: it.sendall(GARBAGE), PATIENCE, "its answer is not HTTP, or broke off"),
        (never, 0.3, "no answer in time"),
        (endless_before_the_status, 0.3, "no answer in time"),
    ],
)
async def test_a_receiver_that_does_not_answer_is_tried_again_and_not_quoted(
    keys: dict[str, object], receiver: Receiver, behave: Behave, short: float, words: str
) -> None:
    receiver.behaviours = [behave] * 10
    hook = webhook({**keys, "timeout": short, "patience": 1.0})
    with pytest.raises(TryLater, match=rf"{words}; tries: 2") as raised:
        await hook.receive_batch([revoked(1)])
    await hook.stop()
    assert "secret" not in str(raised.value)
    assert len({each.headers["webhook-id"] for each in receiver.requests}) <= 1


async def test_an_answer_that_is_huge_is_cut_by_its_size_and_counts(
    keys: dict[str, object], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond_webhook.post.ANSWER_WITHIN", 600.0)
    receiver.behaviours = [huge]
    hook = webhook(keys)
    await hook.receive_batch([revoked(1)])
    await hook.receive_batch([revoked(2)])
    await hook.stop()
    assert len(receiver.requests) == 2
    assert receiver.connections == 2  # the first was good for nothing more


async def test_an_answer_that_stops_half_way_is_cut_by_time_and_counts(
    keys: dict[str, object], receiver: Receiver
) -> None:
    receiver.behaviours = [half_an_answer]
    hook = webhook(keys)
    await hook.receive_batch([revoked(1)])
    await hook.receive_batch([revoked(2)])
    await hook.stop()
    assert receiver.connections == 2


async def test_it_takes_no_cookies(keys: dict[str, object], receiver: Receiver) -> None:
    receiver.behaviours = [answering(200, "set-cookie: a=b; Path=/")] * 2
    hook = webhook(keys)
    await hook.receive_batch([revoked(1)])
    await hook.receive_batch([revoked(2)])
    await hook.stop()
    assert "cookie" not in receiver.requests[1].headers
    assert list(hook._poster._client.cookies.jar) == []  # noqa: SLF001 - they would pile up


@pytest.mark.parametrize(
    "wrong",
    [
        lambda keys, port: keys.pop("ca_file"),
        lambda keys, port: keys.update(url=f"https://127.0.0.2:{port}/hook"),
    ],
    ids=["an authority that is not known", "a name that is not in the certificate"],
)
async def test_nothing_is_sent_to_a_receiver_whose_certificate_is_not_good(
    keys: dict[str, object],
    authority: trustme.CA,
    wrong: Callable[[dict[str, object], int], object],
) -> None:
    with Receiver(authority, address="0.0.0.0") as receiver:  # noqa: S104 - for 127.0.0.2
        keys["url"] = f"https://localhost:{receiver.port}/hook"
        wrong(keys, receiver.port)
        hook = webhook({**keys})
        with pytest.raises(TryLater, match=r"cannot connect: .*CERTIFICATE_VERIFY_FAILED"):
            await hook.receive_batch([revoked(1)])
        await hook.stop()
        assert receiver.requests == []


async def test_a_receiver_that_is_away_is_reached_when_it_is_back(
    keys: dict[str, object], authority: trustme.CA
) -> None:
    with Receiver(authority) as gone:
        port = gone.port
    hook = webhook({**keys, "url": f"https://localhost:{port}/"})
    with pytest.raises(TryLater, match=rf"localhost:{port}: cannot connect: Connection refused"):
        await hook.receive_batch([revoked(1)])
    with Receiver(authority, port=port) as back:
        await hook.receive_batch([revoked(1)])
        assert len(back.requests) == 1
    await hook.stop()
