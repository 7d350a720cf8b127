"""What the README shows is so."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from receiving import OTHER, SECRET, FakeClock, Receiver, revoked, webhook
from sessiond_webhook.settings import WebhookSettings

from sessiond.api import settings_of

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_it_has_each_key_with_its_default() -> None:
    rows = dict(
        [cell.strip().strip("`") for cell in line.split("|")[1:3]]
        for line in README.splitlines()
        if line.startswith("| `")
    )
    settings = settings_of(WebhookSettings, {"url": "https://x", "secret_file": "/x"})
    defaults = {**json.loads(msgspec.json.encode(settings)), "url": "", "secret_file": ""}
    assert {key: tomllib.loads(f"it = {text}")["it"] for key, text in rows.items()} == defaults


@pytest.mark.anyio
async def test_its_snippet_knows_genuine_requests_from_others(
    keys: dict[str, object], receiver: Receiver
) -> None:
    (snippet,) = blocks("python")
    names: dict[str, Callable[..., bool]] = {}
    exec(snippet, names)  # noqa: S102 - which is what is to be tested
    is_genuine = names["is_genuine"]
    clock = FakeClock()
    hook = webhook(keys, clock)
    await hook.receive_batch([revoked(7)])
    await hook.stop()
    (request,) = receiver.requests
    headers, body, now = dict(request.headers), request.body, clock.now()

    assert is_genuine([SECRET], headers, body, now)
    assert is_genuine([OTHER, SECRET], headers, body, now)
    assert not is_genuine([OTHER], headers, body, now)
    assert not is_genuine([SECRET], headers, body + b" ", now)
    assert not is_genuine([SECRET], {**headers, "webhook-id": "other"}, body, now)
    assert not is_genuine([SECRET], headers, body, now + 301)
    assert not is_genuine([SECRET], headers, body, now - 301)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        for text in ("", "v1", "v2," + "A" * 44, "ä"):
            assert not is_genuine([SECRET], {**headers, name: text}, body, now)
        del (less := dict(headers))[name]
        assert not is_genuine([SECRET], less, body, now)


@pytest.mark.anyio
async def test_its_request_is_a_real_one(keys: dict[str, object], receiver: Receiver) -> None:
    hook = webhook({**keys, "url": f"https://localhost:{receiver.port}/sessiond"})
    await hook.receive_batch([revoked(7, detail="left us")])
    await hook.stop()
    (request,) = receiver.requests
    (shown,) = blocks("http")
    head, _, body = shown.rstrip("\n").partition("\n\n")
    line, *headers = head.split("\n")
    assert line == request.line
    assert dict(each.split(": ", 1) for each in headers) == {
        **request.headers,
        "host": "hooks.example.com",
    }
    assert json.loads(body) == json.loads(request.body)
    assert body == request.body.decode()
