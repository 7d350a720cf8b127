"""The rule itself; what a text's parts are, its callers' parsers say."""

from functools import partial
from typing import Any

import pytest

from sessiond.core.endpoint import endpoint_fault, is_loopback

fault = partial(
    endpoint_fault,
    scheme="https",
    host="login.example.com",
    port=None,
    has_user=False,
    has_fragment=False,
    insecure_http=False,
)


@pytest.mark.parametrize("port", [None, 1, 8443, 65535])
@pytest.mark.parametrize("insecure_http", [False, True])
def test_https_may_go_anywhere(port: int | None, insecure_http: bool) -> None:
    assert fault(port=port, insecure_http=insecure_http) is None


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"scheme": "ftp"}, "is no https:// URL"),
        ({"scheme": ""}, "is no https:// URL"),
        ({"host": ""}, "is no https:// URL"),
        ({"has_user": True}, "carries a user or password"),
        ({"has_fragment": True}, "carries a fragment"),
        ({"port": 0}, "has no such port"),
        ({"port": 65536}, "has no such port"),
        ({"scheme": "http"}, "is http://, which needs insecure_http"),
        ({"scheme": "http", "insecure_http": True}, "is http://, which needs insecure_http"),
        ({"scheme": "http", "host": "localhost"}, "is http://, which needs insecure_http"),
    ],
)
def test_what_must_not_be_is_said_in_words_that_follow_a_name(
    parts: dict[str, Any], said: str
) -> None:
    found = fault(**parts)
    assert found is not None
    assert found.startswith(said)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_excused_plain_http_where_that_is_asked_for(host: str) -> None:
    assert is_loopback(host)
    assert fault(scheme="http", host=host, insecure_http=True) is None


@pytest.mark.parametrize(
    "host", ["", "localhost.example.com", "10.0.0.1", "0.0.0.0", "::", "127.0.0.1.example.com"]
)
def test_no_other_host_is_this_machine(host: str) -> None:
    assert not is_loopback(host)
