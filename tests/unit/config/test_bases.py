"""Origins that q answers at: how browsers write them, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.config.bases import as_browsers_write, authorities, fault_of, port_of


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://gateway1.corp.example:5007", "https://gateway1.corp.example:5007"),
        ("HTTPS://Gateway1.Corp.Example:5007", "https://gateway1.corp.example:5007"),
        ("https://gateway1.corp.example:443", "https://gateway1.corp.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("https://gateway1:05007", "https://gateway1:5007"),
        ("https://[0:0::1]:5007", "https://[::1]:5007"),
        ("https://[::FFFF:0:1]", "https://[::ffff:0:1]"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(written: str, kept: str) -> None:
    assert as_browsers_write(written) == kept
    assert fault_of(kept) == ""


@pytest.mark.parametrize(
    "base",
    ["http://localhost:5007", "http://127.0.0.1:5007", "http://127.8.8.8", "http://[::1]:5007"],
)
def test_http_is_for_this_machine(base: str) -> None:
    assert fault_of(base) == ""


@pytest.mark.parametrize(
    ("base", "fault"),
    [
        ("gateway1.corp.example:5007", "is no https:// URL"),
        ("ftp://gateway1", "is no https:// URL"),
        ("https:gateway1", "is no https:// URL"),
        ("//gateway1", "is no https:// URL"),
        ("http://gateway1.corp.example:5007", "is http://, which is for a loopback host alone"),
        ("http://localhost.evil.example", "is http://, which is for a loopback host alone"),
        ("http://[fe80::1]", "is http://, which is for a loopback host alone"),
        ("https://gateway1:5007/", "ends with a slash"),
        ("https://gateway1:5007/kdb", "has more than an origin: a path, query or fragment"),
        ("https://gateway1:5007//", "has more than an origin: a path, query or fragment"),
        ("https://gateway1:5007/kdb/", "has more than an origin: a path, query or fragment"),
        ("https://gateway1:5007?a=b", "has more than an origin: a path, query or fragment"),
        ("https://gateway1:5007#a", "has more than an origin: a path, query or fragment"),
        ("https://user:word@gateway1:5007", "carries a user or password"),
        ("https://gateway1@evil.example", "carries a user or password"),
        ("https://gateway1/@", "has more than an origin: a path, query or fragment"),
        ("https://", "has no such host or port"),
        ("https://:5007", "has no such host or port"),
        ("https:///", "ends with a slash"),
        ("https://gateway1:", "has no such host or port"),
        ("https://gateway1:five", "has no such host or port"),
        ("https://gateway1:5007:5008", "has no such host or port"),
        ("https://gateway1:0", "has no such port"),
        ("https://gateway1:65536", "has no such port"),
        ("https://*.corp.example", "has no such host or port"),
        ("https://gate way", "has no such host or port"),
        ('https://gateway1"', "has no such host or port"),
        ("https://gateway1\\evil", "has no such host or port"),
        ("https://.gateway1", "has no such host or port"),
        ("https://[::1%eth0]", "has no such host or port"),
        ("https://[:::1]", "has no such host"),
        ("https://[127.0.0.1]", "has no such host"),
    ],
)
def test_what_is_no_origin_is_told_why(base: str, fault: str) -> None:
    assert fault_of(as_browsers_write(base)) == fault


@given(st.text(alphabet="htps:/[]0123456789.abc@?#", max_size=40))
def test_what_a_browser_writes_stays(text: str) -> None:
    for base in (text, f"https://{text}", f"http://localhost:{text}"):
        once = as_browsers_write(base)
        assert as_browsers_write(once) == once
        if fault_of(once) == "":
            assert not once.endswith("/")
            assert authorities(once)


def test_a_host_names_a_base_with_its_usual_port_or_without() -> None:
    assert authorities("https://gateway1:5007") == {"gateway1:5007"}
    assert authorities("https://gateway1") == {"gateway1", "gateway1:443"}
    assert authorities("http://[::1]") == {"[::1]", "[::1]:80"}
    assert authorities("http://[::1]:5007") == {"[::1]:5007"}


def test_the_port_is_the_stated_one_or_the_schemes() -> None:
    assert port_of("https://gateway1:5007") == port_of("http://[::1]:5007") == 5007
    assert port_of("https://gateway1") == port_of("https://8080") == 443
    assert port_of("http://[::1]") == 80
