"""Which requests are for us, and under which names cookies are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.web.base import Base, base_of

TLS = Base("https://gateway1.corp.example:5007")
PLAIN = Base("http://127.0.0.1:5008")
SIX = Base("https://[2001:db8::1]")
BASES = (TLS, PLAIN, SIX)


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("gateway1.corp.example:5007", TLS),
        ("GATEWAY1.corp.example:5007", TLS),
        (" gateway1.corp.example:5007\t", TLS),
        ("127.0.0.1:5008", PLAIN),
        ("[2001:db8::1]", SIX),
        ("[2001:DB8::1]:443", SIX),
    ],
)
def test_a_host_header_names_its_base(host: str, base: Base) -> None:
    assert base_of(BASES, host) is base


@pytest.mark.parametrize(
    "host",
    [
        "",
        "gateway1.corp.example",
        "gateway1.corp.example:5008",
        "gateway1.corp.example:5007.evil.example",
        "gateway1.corp.example.:5007",
        "evil.example:5007",
        "ann@gateway1.corp.example:5007",
        "gateway1.corp.example:5007, evil.example",
        "gateway1.corp.example:5007/",
        "gateway1.corp.example:５００７",
        "127.0.0.1:5008\r\nX: y",
        "127.1:5008",
        "localhost:5008",
        "gateway1.corp.example:5007\x00",
        "gateway1\uff0ecorp.example:5007",
    ],
)
def test_another_host_is_for_none(host: str) -> None:
    assert base_of(BASES, host) is None


@given(st.text(max_size=40))
def test_no_text_names_a_base_that_is_not_written_in_it(host: str) -> None:
    base = base_of(BASES, host)
    assert base is None or base.url.split("://")[1] in host.lower()


def test_the_port_may_be_left_out_where_it_is_the_schemes() -> None:
    base = Base("https://gateway.example")
    assert base.port == 443
    assert base_of([base], "gateway.example:443") is base
    assert base_of([base], "gateway.example") is base
    assert base_of([base], "gateway.example:80") is None


def test_a_cookie_is_named_after_its_port_and_pinned_to_its_host_under_tls() -> None:
    assert TLS.cookie == "__Host-sessiond-5007"
    assert PLAIN.cookie == "sessiond-5008"
    assert Base("https://gateway.example").cookie == "__Host-sessiond-443"


def test_the_callback_is_what_is_registered_to_the_letter() -> None:
    assert TLS.callback == "https://gateway1.corp.example:5007/.sessiond/callback"


@pytest.mark.parametrize(
    "origin", ["https://gateway1.corp.example:5007", " HTTPS://Gateway1.corp.example:5007"]
)
def test_a_page_of_the_base_has_its_origin(origin: str) -> None:
    assert TLS.is_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://gateway1.corp.example:5007",
        "https://gateway1.corp.example",
        "https://gateway1.corp.example:5008",
        "https://evil.example:5007",
        "https://gateway1.corp.example:5007.evil.example",
        "https://gateway1.corp.example:5007 https://evil.example",
        "gateway1.corp.example:5007",
    ],
)
def test_another_origin_is_not_the_bases(origin: str) -> None:
    assert not TLS.is_origin(origin)


def test_a_default_port_is_not_written_in_an_origin() -> None:
    assert SIX.is_origin("https://[2001:db8::1]")
