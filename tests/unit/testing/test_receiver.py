"""A stand-in for what subscribers post to."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from sessiond.testing import FakeReceiver


def test_what_is_posted_is_there_and_answered_well() -> None:
    with FakeReceiver() as room, httpx.Client(trust_env=False) as client:
        assert client.post(room.url, json={"text": "hello"}).json() == {}
        assert client.post(f"{room.url}more", data={"a": "b"}).status_code == 200
        assert room.next().json() == {"text": "hello"}
        asked = room.next()
        assert (asked.path, asked.form) == ("/more", {"a": "b"})
        assert len(room.received) == 2


def test_it_fails_as_it_is_told_to() -> None:
    with FakeReceiver() as room, httpx.Client(trust_env=False) as client:
        room.fail(status=503, retry_after=7, times=1)
        answer = client.post(room.url)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        assert client.post(room.url).status_code == 200
        room.fail(hang=True)
        with pytest.raises(httpx.ReadTimeout):
            client.post(room.url, timeout=0.05)
        room.mend()
        assert client.post(room.url).status_code == 200
        assert len(room.received) == 4


@pytest.mark.parametrize("length", ["-5", "many", "9" * 5000])
def test_a_length_that_is_none_is_answered_without_a_body(length: str) -> None:
    with FakeReceiver() as room:
        place = urlsplit(room.url)
        with socket.create_connection((place.hostname, place.port), timeout=20) as client:
            client.sendall(f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert client.recv(12) == b"HTTP/1.1 200"
        assert room.next().content == b""


def test_who_waits_in_vain_is_told() -> None:
    with FakeReceiver() as room, pytest.raises(TimeoutError, match=r"within 0\.01 seconds"):
        room.next(within=0.01)
