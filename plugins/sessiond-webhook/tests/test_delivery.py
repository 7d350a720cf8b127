"""Delivering to a receiver over real TLS, on good days."""

import json
from pathlib import Path

import pytest
from receiving import (
    OTHER,
    SECRET,
    FakeClock,
    Receiver,
    refused,
    revoked,
    secret_file,
    signatures,
    webhook,
)

from sessiond.api import TryLater, to_json

pytestmark = pytest.mark.anyio


async def test_an_event_is_posted_as_a_signed_cloud_event(
    keys: dict[str, object], receiver: Receiver
) -> None:
    hook = webhook({**keys, "source": "https://sessiond.example.com/prod"})
    await hook.receive_batch([revoked(7)])
    await hook.stop()

    (request,) = receiver.requests
    assert request.line == "POST /hook?code=hush HTTP/1.1"
    assert request.headers["host"] == f"localhost:{receiver.port}"
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["webhook-timestamp"] == "1795253400"
    assert signatures(request, SECRET) == [True]
    assert signatures(request, OTHER) == [False]
    assert json.loads(request.body) == {
        "specversion": "1.0",
        "id": "7-1795253407000000",
        "source": "https://sessiond.example.com/prod",
        "type": "io.sessiond.session.revoked.v1",
        "subject": "00000000-0000-0000-0000-000000000007",
        "time": "2026-11-21T09:30:07Z",
        "datacontenttype": "application/json",
        "data": json.loads(to_json(revoked(7))),
    }


async def test_a_batch_is_posted_in_the_batch_format_however_few_there_are(
    keys: dict[str, object], receiver: Receiver
) -> None:
    hook = webhook({**keys, "batch": 100})
    await hook.receive_batch([revoked(1), refused(2)])
    await hook.receive_batch([revoked(3)])
    await hook.stop()

    assert hook.batch == 100
    for request in receiver.requests:
        assert request.headers["content-type"] == "application/cloudevents-batch+json"
        assert signatures(request, SECRET) == [True]
    both, one = (json.loads(request.body) for request in receiver.requests)
    assert [each["data"]["sequence"] for each in both] == [1, 2]
    assert [each["data"]["sequence"] for each in one] == [3]
    assert "subject" not in both[1]  # it has no session


async def test_requests_share_one_connection(keys: dict[str, object], receiver: Receiver) -> None:
    hook = webhook(keys)
    for sequence in range(1, 6):
        await hook.receive_batch([revoked(sequence)])
    await hook.stop()
    assert len(receiver.requests) == 5
    assert receiver.connections == 1


async def test_only_wanted_kinds_are_posted(keys: dict[str, object], receiver: Receiver) -> None:
    hook = webhook({**keys, "kinds": ["session.re?oked", "gap"], "batch": 10})
    await hook.receive_batch([refused(1)])
    await hook.receive_batch([refused(2), revoked(3), refused(4)])
    await hook.stop()
    (request,) = receiver.requests
    assert [each["data"]["sequence"] for each in json.loads(request.body)] == [3]


async def test_during_a_rotation_both_secrets_sign_and_nothing_is_restarted(
    keys: dict[str, object], receiver: Receiver
) -> None:
    hook = webhook(keys)
    path = Path(str(keys["secret_file"]))
    for lines in ([SECRET], [OTHER, SECRET], [OTHER]):
        new = path.with_suffix(".new")
        new.write_text("\n".join(lines))
        new.chmod(0o600)
        new.rename(path)
        await hook.receive_batch([revoked(1)])
    await hook.stop()
    before, between, after = receiver.requests
    assert (signatures(before, SECRET), signatures(before, OTHER)) == ([True], [False])
    assert signatures(between, SECRET) == [False, True]
    assert signatures(between, OTHER) == [True, False]
    assert (signatures(after, SECRET), signatures(after, OTHER)) == ([False], [True])


async def test_a_secret_file_that_others_may_read_from_now_on_sends_nothing(
    keys: dict[str, object], receiver: Receiver
) -> None:
    hook = webhook(keys)
    secret_file(Path(str(keys["secret_file"])), SECRET, mode=0o604)
    with pytest.raises(TryLater, match=r"mode 0604, which lets others read it"):
        await hook.receive_batch([revoked(1)])
    await hook.stop()
    assert receiver.requests == []


async def test_url_and_authorization_come_from_files(
    keys: dict[str, object], receiver: Receiver, tmp_path: Path
) -> None:
    url, authorization = tmp_path / "url", tmp_path / "authorization"
    url.write_text(f"{keys.pop('url')}\n")
    authorization.write_text("Bearer hush-hush\n")
    for file in (url, authorization):
        file.chmod(0o640)
    del keys["secret_file"]
    hook = webhook({**keys, "url_file": str(url), "authorization_file": str(authorization)})
    await hook.receive_batch([revoked(1)])
    await hook.stop()
    (request,) = receiver.requests
    assert request.line == "POST /hook?code=hush HTTP/1.1"
    assert request.headers["authorization"] == "Bearer hush-hush"
    assert "webhook-signature" not in request.headers


async def test_headers_are_sent_and_the_environment_is_not_asked(
    keys: dict[str, object], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    hook = webhook({**keys, "headers": {"X-Team": "trading desk", "User-Agent": "desk"}})
    await hook.receive_batch([revoked(1)])
    await hook.stop()
    (request,) = receiver.requests
    assert request.headers["x-team"] == "trading desk"
    assert request.headers["user-agent"] == "desk"


async def test_an_event_has_one_id_on_every_try_and_a_time_of_each(
    keys: dict[str, object], receiver: Receiver
) -> None:
    clock = FakeClock()
    for _ in range(2):  # as after a restart of the daemon
        hook = webhook(keys, clock)
        await hook.receive_batch([revoked(1)])
        await clock.sleep(60)
        await hook.receive_batch([revoked(2)])
        await hook.stop()
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2
    assert "." not in "".join(ids)
    times = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert [time - times[0] for time in times] == [0, 60, 60, 120]


async def test_two_daemons_events_have_different_ids(
    keys: dict[str, object], receiver: Receiver
) -> None:
    for source in ("/one", "/two"):
        hook = webhook({**keys, "source": source})
        await hook.receive_batch([revoked(1)])
        await hook.stop()
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2
