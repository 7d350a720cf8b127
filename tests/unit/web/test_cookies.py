"""Which cookie counts, and how a browser is told to keep one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.web.base import Base
from sessiond.web.cookies import (
    RepeatedCookie,
    arrival_cookie,
    is_sent,
    set_cookie,
    sign_in_cookie,
    value_of,
)

TLS = Base("https://gateway.example:5007")
PLAIN = Base("http://localhost:5008")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("", None),
        ("a", None),
        ("a=1", "1"),
        ("b=2; a=1", "1"),
        ("b=2;a=1;c", "1"),
        (" a = 1 ;b", "1"),
        ("a=", ""),
        ("a=x=y", "x=y"),
        ("A=1", None),
        ("ba=1", None),
        ('a="1"', '"1"'),
    ],
)
def test_a_cookie_is_found_by_its_whole_name(header: str, value: str | None) -> None:
    assert value_of(header, "a") == value


@pytest.mark.parametrize("header", ["a=1; a=2", "a=1;a=1", "a=; b=1; a=1"])
def test_of_two_of_one_name_neither_counts(header: str) -> None:
    with pytest.raises(RepeatedCookie):
        value_of(header, "a")


def read_slowly(header: str, name: str) -> list[str]:
    """Return the values as RFC 6265 (5.4) has a server read them: by semicolons."""
    pairs = [each.partition("=") for each in header.split(";")]
    return [
        value.strip(" \t") for found, mark, value in pairs if mark and found.strip(" \t") == name
    ]


@given(st.text(alphabet="ab=; \t\n\u00e9-", max_size=40))
def test_a_header_is_read_by_its_semicolons_whatever_is_between_them(header: str) -> None:
    values = read_slowly(header, "a-")
    assert is_sent(header, "a-") is bool(values)
    if len(values) > 1:
        with pytest.raises(RepeatedCookie):
            value_of(header, "a-")
    else:
        assert value_of(header, "a-") == (values[0] if values else None)


@given(st.text(max_size=200))
def test_any_header_can_be_read(header: str) -> None:
    assert not is_sent(header, TLS.cookie)


@pytest.mark.parametrize(
    "before", ["x ", "\u2000", "\u00a0", "\x85", "\x0b", "\n", "\r\n", "$", ",", "_", "\ufeff"]
)
def test_a_name_that_only_looks_like_ours_is_anybodys(before: str) -> None:
    assert not is_sent(f"a=b; {before}{TLS.cookie}=x", TLS.cookie)
    assert value_of(f"{before}{TLS.cookie}=x; {TLS.cookie}=y", TLS.cookie) == "y"


def test_a_bomb_of_cookies_is_read_once_and_found_to_hold_none_of_ours() -> None:
    bomb = ";".join(["=" * 3] * 5000) + ";" * 2000
    assert value_of(bomb, TLS.cookie) is None


def test_a_cookie_never_travels_without_tls_nor_to_scripts_or_other_sites() -> None:
    assert (
        set_cookie(TLS, TLS.cookie, "v")
        == "__Host-sessiond-5007=v; Path=/; HttpOnly; SameSite=Lax; Secure"
    )


def test_on_loopback_without_tls_it_is_all_but_secure() -> None:
    assert (
        set_cookie(PLAIN, PLAIN.cookie, "v", max_age=600)
        == "sessiond-5008=v; Max-Age=600; Path=/; HttpOnly; SameSite=Lax"
    )


def test_each_slot_and_base_has_a_name_of_its_own() -> None:
    names = {sign_in_cookie(base, slot) for base in (TLS, PLAIN) for slot in range(4)}
    names |= {TLS.cookie, PLAIN.cookie, arrival_cookie(TLS), arrival_cookie(PLAIN)}
    assert len(names) == 12
    assert all(
        name.startswith("__Host-sessiond-5007") or name.startswith("sessiond-5008")
        for name in names
    )
