import pytest

from sessiond.issuers.url import Origin, Target, target_of, url_fault


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.com/token",
        "https://login.example.com:8443/a?b=c",
        "https://[::1]/",
        "https://login_1.example.com./a b?c=\u00e9",
        "https://xn--mller-kva.example/",
    ],
)
def test_an_https_url_may_be_asked(url: str) -> None:
    assert url_fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/token",
        "http://localhost/token",
        "//login.example.com/token",
        "login.example.com/token",
        "file:///etc/passwd",
        "https:///token",
        "https://user:word@login.example.com/",
        "https://login.example.com/#part",
        "https://login.example.com:port/",
        "https://login.example.com:0/",
        "https://login.example.com:65536/",
        "https://login.example.com\\@evil.example/",
        "https://login.example.com\\.evil.example/",
        "https://m\u00fcller.example/",
        "https://%6cogin.example.com/",
        "https://-login.example.com/",
        "https://.example.com/",
        "https://login example.com/",
        " https://login.example.com/",
        "https://login.example.com/\r\nHost: evil.example",
        "https://login.example.com/\x00",
        "https://login.example.com/\ud800",
        "https://[::1",
        "https://[::1%25lo0]/",
        "https://[1::2::3]/",
        "https://[v1.x:y]/",
        "",
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    assert url_fault(url) is not None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_plain_http_is_excused_on_this_machine(host: str) -> None:
    assert url_fault(f"http://{host}:8080/token", insecure_http=True) is None


@pytest.mark.parametrize("host", ["login.example.com", "localhost.example.com", "10.0.0.1"])
def test_plain_http_is_excused_nowhere_else(host: str) -> None:
    assert url_fault(f"http://{host}/token", insecure_http=True) is not None


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "https://Login.Example.com",
            Target(Origin("https", "login.example.com", 443), "login.example.com", "/"),
        ),
        (
            "https://a.example:8443/x?y=1&z=%20",
            Target(Origin("https", "a.example", 8443), "a.example:8443", "/x?y=1&z=%20"),
        ),
        (
            "https://a.example:443/my realm/\u00e9",
            Target(Origin("https", "a.example", 443), "a.example", "/my%20realm/%C3%A9"),
        ),
        ("http://[0::1]:80/", Target(Origin("http", "::1", 80), "[::1]", "/")),
    ],
)
def test_a_url_says_whom_to_connect_to_and_what_to_ask_for(url: str, target: Target) -> None:
    assert target_of(url, insecure_http=True) == target
