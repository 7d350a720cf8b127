from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import httpx
import pytest

from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, UnusableAnswer
from sessiond.issuers.http import Reply, retry_after
from tests.unit.issuers.fake import TLS, HandClock, IssuerStub
from tests.unit.jwt.forge import NOW

pytestmark = pytest.mark.anyio

HERE = "https://login.example.com/here"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17.0),
        (" 17 ", 17.0),
        ("0", 1.0),
        ("99999999999999999999", 3600.0),
        ("Mon, 02 Mar 2026 09:02:00 GMT", 120.0),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 1.0),
        ("Tue, 03 Mar 2026 09:00:00 GMT", 3600.0),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(header: str, seconds: float | None) -> None:
    assert datetime(2026, 3, 2, 9, 0, tzinfo=UTC) == NOW
    assert retry_after(header, now=NOW) == seconds


async def test_a_reply_has_what_its_reader_needs(issuer: IssuerStub) -> None:
    issuer.says("/here", {"a": 1}, status=401, headers={"WWW-Authenticate": "Bearer"})
    async with issuer.http() as http:
        reply = await http.get(HERE)
    assert (reply.status, reply.challenge, reply.read()) == (401, "Bearer", {"a": 1})
    assert not reply.is_success


async def test_a_form_is_posted_encoded(issuer: IssuerStub) -> None:
    issuer.says("/here", {})
    async with issuer.http() as http:
        await http.post_form(HERE, {"token": "a+b&c=d"}, headers={"authorization": "Basic x"})
    (request,) = issuer.requests
    assert request.content == b"token=a%2Bb%26c%3Dd"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"] == "Basic x"


async def test_429_is_throttled_even_without_a_retry_after(issuer: IssuerStub) -> None:
    issuer.says("/here", {}, status=429)
    async with issuer.http() as http:
        with pytest.raises(IssuerThrottled) as raised:
            await http.get(HERE)
    assert raised.value.retry_after == 5.0


@pytest.mark.parametrize("status", [429, 503, 500])
async def test_a_retry_after_is_obeyed(issuer: IssuerStub, status: int) -> None:
    issuer.says("/here", {}, status=status, headers={"Retry-After": "42"})
    async with issuer.http() as http:
        with pytest.raises(IssuerThrottled) as raised:
            await http.get(HERE)
    assert raised.value.retry_after == 42.0


@pytest.mark.parametrize("status", [301, 302, 304, 307, 500, 502, 503, 504])
async def test_what_is_no_answer_is_unavailable(issuer: IssuerStub, status: int) -> None:
    issuer.says("/here", {}, status=status)
    async with issuer.http() as http:
        with pytest.raises(IssuerUnavailable) as raised:
            await http.get(HERE)
    assert not isinstance(raised.value, IssuerThrottled)


async def test_no_redirect_is_followed(issuer: IssuerStub) -> None:
    issuer.says("/here", {}, status=307, headers={"Location": "https://elsewhere.example/"})
    async with issuer.http() as http:
        with pytest.raises(IssuerUnavailable):
            await http.post_form(HERE, {"token": "secret"})
    assert len(issuer.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"a":1,"a":2}', b"\xef\xbb\xbf{}"])
async def test_what_is_no_json_object_is_unavailable(issuer: IssuerStub, body: bytes) -> None:
    issuer.says("/here", body)
    async with issuer.http() as http:
        reply = await http.get(HERE)
    with pytest.raises(IssuerUnavailable):
        reply.read()


async def test_a_body_that_drips_ends_with_the_timeout(issuer: IssuerStub) -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await anyio.sleep(0.001)

    issuer.on("/here", lambda _: httpx.Response(200, content=drip()))
    async with issuer.http(timeout=0.05) as http:
        with pytest.raises(IssuerUnavailable, match="within"):
            await http.get(HERE)


async def test_the_wait_for_a_turn_counts_too(issuer: IssuerStub) -> None:
    asked, done = anyio.Event(), anyio.Event()

    async def hold(_: httpx.Request) -> httpx.Response:
        asked.set()
        await done.wait()
        return httpx.Response(200, json={})

    issuer.on("/here", hold)
    patient = issuer.http(concurrency=1)
    patient_turn = patient._turn
    async with patient, issuer.http(timeout=0.05) as hasty, anyio.create_task_group() as tasks:
        hasty._turn = patient_turn
        tasks.start_soon(patient.get, HERE)
        await asked.wait()
        with pytest.raises(IssuerUnavailable, match="within"):
            await hasty.get(HERE)
        done.set()
    assert issuer.asked("/here") == 1  # the second never had a turn


async def test_a_timed_out_call_gives_its_turn_back(issuer: IssuerStub) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    issuer.on("/slow", never)
    issuer.says("/here", {})
    async with issuer.http(timeout=0.02, concurrency=1) as http:
        for _ in range(3):
            with pytest.raises(IssuerUnavailable):
                await http.get("https://login.example.com/slow")
        assert (await http.get(HERE)).status == 200


@pytest.mark.parametrize("concurrency", [1, 3, 20])
async def test_never_more_calls_than_allowed_at_once(issuer: IssuerStub, concurrency: int) -> None:
    now = most = 0
    full = anyio.Event()

    async def count(_: httpx.Request) -> httpx.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == concurrency:
            full.set()
        await full.wait()  # nobody leaves before as many as allowed are in
        await anyio.lowlevel.checkpoint()
        now -= 1
        return httpx.Response(200, json={})

    issuer.on("/here", count)
    async with (
        issuer.http(concurrency=concurrency) as http,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(50):
            tasks.start_soon(http.get, HERE)
    assert most == concurrency
    assert issuer.asked("/here") == 50


async def test_one_users_cookie_does_not_travel_with_the_next_ones_token(
    issuer: IssuerStub,
) -> None:
    issuer.says("/here", {}, headers={"Set-Cookie": "session=alice; Path=/; Secure"})
    async with issuer.http(concurrency=1) as http:
        await http.get(HERE)
        await http.get(HERE)
    assert all("cookie" not in request.headers for request in issuer.requests)


async def test_the_issuers_clock_is_read_from_its_own_answers_and_from_no_caches(
    issuer: IssuerStub, clock: HandClock
) -> None:
    date = format_datetime(clock.now() + timedelta(hours=1), usegmt=True)
    async with issuer.http() as http:
        issuer.says("/here", {}, headers={"Date": date, "Age": "3600"})
        await http.get(HERE)
        assert http.ahead is None
        issuer.says("/here", {}, headers={"Date": date})
        await http.get(HERE)
        assert http.ahead == pytest.approx(3600, abs=1)


@pytest.mark.parametrize("error", [OSError, ValueError])
async def test_a_transport_error_is_unavailable_and_keeps_no_request(
    issuer: IssuerStub, error: type[Exception]
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("it said: very-secret-token")

    issuer.on("/here", fail)
    async with issuer.http() as http:
        with pytest.raises(IssuerUnavailable) as raised:
            await http.get(HERE, headers={"authorization": "Bearer very-secret-token"})
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert "very-secret-token" not in str(raised.value)


async def test_an_endpoint_that_is_not_https_is_never_asked(issuer: IssuerStub) -> None:
    async with issuer.http() as http:
        with pytest.raises(IssuerUnavailable, match="an endpoint is http://"):
            await http.post_form("http://login.example.com/here", {"token": "secret"})
    assert issuer.requests == []


def test_a_reply_does_not_show_its_body() -> None:
    reply = Reply(status=200, retry_after=None, challenge="", body=b"very-secret-token")
    assert "very-secret-token" not in repr(reply)


def test_the_tests_themselves_trust_nobody() -> None:
    assert TLS.get_ca_certs() == []


@pytest.mark.parametrize(
    ("status", "headers", "shown"),
    [
        (200, {}, type(None)),
        (302, {}, type(None)),
        (400, {}, type(None)),
        (403, {"Retry-After": "60"}, type(None)),
        (429, {}, IssuerThrottled),
        (503, {"Retry-After": "60"}, IssuerThrottled),
        (500, {}, IssuerUnavailable),
        (599, {}, IssuerUnavailable),
    ],
)
async def test_each_call_tells_what_it_has_shown_of_the_issuer(
    issuer: IssuerStub, status: int, headers: dict[str, str], shown: type[object]
) -> None:
    told: list[object] = []
    http = issuer.http(note=told.append)
    issuer.says("/here", {}, status=status, headers=headers)
    with suppress(IssuerUnavailable):
        await http.get(HERE)
    assert [type(each) for each in told] == [shown]


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404])
async def test_a_retry_after_below_500_is_a_wish_for_this_call_alone(
    issuer: IssuerStub, status: int
) -> None:
    issuer.says("/here", b"no JSON", status=status, headers={"Retry-After": "42"})
    async with issuer.http() as http:
        with pytest.raises(UnusableAnswer) as raised:
            (await http.get(HERE)).read()
    assert raised.value.retry_after == 42.0
