"""No target of a request can send a browser anywhere but to a path of the same base."""

from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sessiond.web.target import (
    MAX_KEPT,
    RepeatedParameter,
    Target,
    local_path,
    parameters,
    way_back,
)

BASE = "https://gateway.example:5007"
HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "/\\@:?#%.\t\r\n ;&=\x00\x0b\x1b\x7f\u2028\u3002\uff0f\uff0e\u2100\ud800ev"
        ),
        st.characters(),
    ),
    max_size=60,
)
ATTACKS = [
    "",
    "/",
    "//evil.example",
    "///evil.example",
    "////evil.example/..",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/%09/evil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "/..//evil.example",
    "/.//evil.example",
    "/;@evil.example",
    "@evil.example",
    "/@evil.example/",
    ":@evil.example",
    ".evil.example",
    ":80@evil.example",
    "?@evil.example",
    "#@evil.example",
    "http://evil.example/",
    "https:evil.example",
    "https://gateway.example:5007@evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\u2215evil.example",
    "\uff0f\uff0fevil.example",
    "/\u3002evil.example",
    "/x\r\nSet-Cookie: a=b",
    "/x%0d%0aSet-Cookie:%20a=b",
    "/\x00",
    "/\udc80",
]


def browsers_reading(location: str) -> str:
    """Return a URL as WHATWG's rules have it: backslashes are slashes, tabs and line ends go."""
    text = location.strip("".join(map(chr, range(33))))
    for each in "\t\r\n":
        text = text.replace(each, "")
    return text.replace("\\", "/")


@pytest.mark.parametrize("target", ATTACKS)
def test_a_browser_stays_at_its_base(target: str) -> None:
    check(target)


@given(HOSTILE)
@example("//evil.example")
def test_a_browser_stays_at_its_base_whatever_it_asked_for(target: str) -> None:
    check(target)


def check(target: str) -> None:
    for path in (local_path(target), way_back(target)):
        assert path.startswith("/")
        assert not path.startswith(("//", "/\\"))
        assert path.isascii()
        assert path.isprintable()
        assert not set(' "#<>\\^`{|}') & set(path)
        for location in (BASE + path, path):
            read = urlsplit(urljoin(f"{BASE}/a/b", browsers_reading(location)))
            assert (read.scheme, read.netloc) == ("https", "gateway.example:5007")


@given(HOSTILE)
def test_a_path_made_twice_is_the_same(target: str) -> None:
    assert local_path(local_path(target)) == local_path(target)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("page?x=1", "/page?x=1"),
        ("/page?x=1", "/page?x=1"),
        ("?select from trades", "/?select%20from%20trades"),
        ("/a%20b", "/a%20b"),
        ("/?a=b&c[]=d", "/?a=b&c%5B%5D=d"),
        ("/\u00e9", "/%C3%A9"),
    ],
)
def test_what_was_wanted_is_come_back_to(target: str, path: str) -> None:
    assert way_back(target) == path


@pytest.mark.parametrize(
    "target",
    [
        "/.sessiond/signout?t=1",
        ".sessiond/callback?code=x&state=y",
        "//.sessiond/signout",
        "/./.sessiond/signout",
        "/x/../.sessiond/signout",
        "/.SESSIOND/signout",
        "/%2esessiond/signout",
        "/%2Esessiond%2Fsignout",
        "/%252esessiond/signout",
        "/%25252525252525252esessiond/x",
        "http://evil.example/.sessiond/signout",
    ],
)
def test_nobody_is_sent_to_an_address_of_ours(target: str) -> None:
    assert way_back(target) == "/"


def test_what_is_named_in_a_query_is_no_address_of_ours() -> None:
    assert way_back("/?about=.sessiond/") == "/?about=.sessiond/"


def test_an_address_that_is_too_long_is_not_kept() -> None:
    assert way_back("/" + "a" * (MAX_KEPT - 1)) != "/"
    assert way_back("/" + "a" * MAX_KEPT) == "/"
    assert way_back("/" + "\u00e9" * (MAX_KEPT // 3)) == "/"


@pytest.mark.parametrize("text", [".sessiond/callback?a=b", "/.sessiond/callback?a=b"])
def test_q_may_leave_the_first_slash_out(text: str) -> None:
    target = Target.of(text)
    assert (target.path, target.query, target.is_ours) == ("/.sessiond/callback", "a=b", True)


@pytest.mark.parametrize(
    "text", ["", "/", "/x/.sessiond/callback", "//.sessiond/callback", "?.sessiond/", ".sessiond"]
)
def test_other_addresses_are_not_ours(text: str) -> None:
    assert not Target.of(text).is_ours


@pytest.mark.parametrize(
    ("target", "may"),
    [
        ("/", False),
        ("/?", False),
        ("/a%20b.csv", False),
        ("/\u00e9%ff", False),
        ("/?x", True),
        ("/a?x", True),
        ("%3fx", True),
        ("/a%3Fx", True),
        ("/%253Fx", True),
        ("/%3Gx", True),
        ("/100%25", True),
    ],
)
def test_a_question_mark_is_one_whichever_way_it_is_written(target: str, may: bool) -> None:
    assert Target.of(target).may_ask is may


def test_a_target_is_not_shown() -> None:
    assert "sekrit" not in repr(Target.of("/.sessiond/callback?code=sekrit"))


def test_parameters_are_read_as_a_form_writes_them() -> None:
    assert parameters("a=1&b=&c=x%20y+z") == {"a": "1", "b": "", "c": "x y z"}
    assert parameters("") == {}


@pytest.mark.parametrize("query", ["a=1&a=1", "state=a&state=b", "a=&a=", "&".join("abc" * 20)])
def test_a_parameter_that_is_there_twice_is_not_read(query: str) -> None:
    with pytest.raises(RepeatedParameter):
        parameters(query)


def test_too_many_parameters_are_not_read() -> None:
    with pytest.raises(RepeatedParameter):
        parameters("&".join(f"a{n}=1" for n in range(33)))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_a_parameter_comes_back_as_it_was_sent(text: str) -> None:
    assert parameters(f"to={quote(text, safe='')}") == {"to": text}
