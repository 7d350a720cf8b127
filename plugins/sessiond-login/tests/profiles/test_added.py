"""Profiles that somebody hands out: shown before they are used, and written only then."""

import io
import ssl
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from sessiond_login.errors import CannotKeep, IssuerUnavailable, ProfileRefused
from sessiond_login.profile import Profile
from sessiond_login.profiles.added import fetched, offered, shown, write
from sessiond_login.profiles.reading import MAX_AGE, LoginFile, read
from sessiond_login.profiles.toml_text import as_toml

TABLE = '[profile.corp]\nissuer = "https://idp.example/corp"\nclient_id = "kdb"\n'
OTHER = TABLE.replace("[profile.corp]", "[profile.other]")


class Intranet(ThreadingHTTPServer):
    """A web server of a company, or of this machine: it answers as the test says."""

    status = 200
    body = TABLE.encode()
    asked = 0


class Answering(BaseHTTPRequestHandler):
    server: Intranet

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        """Say nothing."""


@pytest.fixture
def intranet() -> Iterator[Intranet]:
    with Intranet(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(server: Intranet, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_port}/login.toml"


def test_an_address_of_https_is_asked_by_the_systems_trust(
    intranet: Intranet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    intranet.socket = context.wrap_socket(intranet.socket, server_side=True)
    with pytest.raises(IssuerUnavailable, match=r"does not trust: .*browser .*save the file, and"):
        fetched(address(intranet, "https"))
    authority.cert_pem.write_to_path(str(tmp_path / "system.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    assert fetched(address(intranet, "https")) == TABLE


@pytest.mark.parametrize(
    "source",
    ["http://intranet.example/x", "ftp://intranet.example/x", "file:///etc/passwd",
     "https://u:p@intranet.example/x", "https:///x", "https://x:port/"],
)  # fmt: skip
@pytest.mark.parametrize("insecure_http", [True, False])
def test_no_other_address_is(source: str, insecure_http: bool) -> None:
    with pytest.raises(ProfileRefused, match=r"that address .*wanted https://"):
        fetched(source, insecure_http=insecure_http)


def test_this_machine_is_asked_without_tls_where_that_is_said(intranet: Intranet) -> None:
    with pytest.raises(ProfileRefused, match="could name an issuer of his own"):
        fetched(address(intranet))
    assert intranet.asked == 0
    assert fetched(address(intranet), insecure_http=True) == TABLE


@pytest.mark.parametrize("status", [201, 302, 404, 500])
def test_an_answer_that_is_none_is_told_and_no_redirect_followed(
    intranet: Intranet, status: int
) -> None:
    intranet.status = status
    with pytest.raises(IssuerUnavailable, match=rf"answered {status}, wanted a login\.toml"):
        fetched(address(intranet), insecure_http=True)
    assert intranet.asked == 1


@pytest.mark.parametrize(
    ("body", "words"), [(b"#" * 65_537, "longer than 65,536 bytes"), (b"\xff", "not UTF-8")]
)
def test_too_long_an_answer_and_no_text_are_refused(
    intranet: Intranet, body: bytes, words: str
) -> None:
    intranet.body = body
    with pytest.raises(ProfileRefused, match=words):
        fetched(address(intranet), insecure_http=True)


def test_a_file_and_standard_input_do_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text(TABLE)
    assert fetched(str(tmp_path / "file")) == TABLE
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(OTHER.encode())))
    assert fetched("-") == OTHER
    with pytest.raises(ProfileRefused, match="No such file"):
        fetched(str(tmp_path / "nothing"))


def test_nothing_is_written_before_the_person_agrees(tmp_path: Path) -> None:
    path = tmp_path / "sessiond" / "login.toml"
    offer = offered(TABLE, "https://intranet.example/x", path)
    assert not path.parent.exists()
    lines = "\n".join(shown(offer))
    for words in (
        "from https://intranet.example/x:",
        "signs in at  idp.example (https://idp.example/corp)",
        "as client    kdb",
        "sends to q   the access token and the refresh token",
        f"to be written to {path}",
    ):
        assert words in lines
    write(offer)
    assert path.read_text() == TABLE
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_ought_to_give_pause_is_shown(tmp_path: Path) -> None:
    text = (
        TABLE.replace("https://idp.example", "http://localhost")
        + 'send = "access"\nflow = "password"\nca_file = "/tmp/ca.pem"\ninsecure_http = true\n'
    )
    lines = "\n".join(shown(offered(text, "x", tmp_path / "login.toml")))
    for words in ("WITHOUT TLS", "your password itself", "/tmp/ca.pem", "the access token\n"):
        assert words in lines


def test_nothing_that_a_profile_says_is_left_out_of_what_is_shown(tmp_path: Path) -> None:
    more = 'rotation = "tolerant"\nuser_claim = "upn"\nmax_age = 60\nresource = "https://x"\n'
    lines = "\n".join(shown(offered(TABLE + more, "x", tmp_path / "login.toml")))
    for row in more.splitlines():
        assert f"    and says     {row}\n" in lines + "\n"


def test_it_is_shown_what_comes_to_stand_before_the_administrators_and_what_is_used_unnamed(
    tmp_path: Path,
) -> None:
    path, text = tmp_path / "login.toml", TABLE + TABLE.replace("corp]", "default]")
    lines = list(shown(offered(text, "x", path, others=["corp", "other"])))
    before = "    STANDS BEFORE the administrator's profile of this name"
    unnamed = "    IS USED where no profile is named"
    at = [lines.index(each) for each in ("  profile corp", before, "  profile default", unnamed)]
    assert at == sorted(at)
    assert (lines.count(before), lines.count(unnamed)) == (1, 1)


def test_what_the_person_has_stays_word_for_word(tmp_path: Path) -> None:
    path = tmp_path / "login.toml"
    path.write_text('# mine\nkeep = "file"\n' + TABLE.rstrip("\n"))
    write(offered(OTHER, "x", path))
    assert path.read_text() == '# mine\nkeep = "file"\n' + TABLE + "\n" + OTHER
    write(offered(OTHER, "x", path))
    assert path.read_text().count("[profile.other]") == 1


def test_a_profile_of_that_name_is_replaced_only_when_that_was_said(tmp_path: Path) -> None:
    path = tmp_path / "login.toml"
    path.write_text("# mine\n" + TABLE + OTHER)
    offer = offered(TABLE.replace("idp", "new"), "x", path)
    lines = "\n".join(shown(offer))
    assert "REPLACES the profile of this name" in lines
    assert "whose comments are lost" in lines
    write(offer)
    after = read(path.read_text(), "x").profiles
    assert after["corp"].issuer == "https://new.example/corp"
    assert after["other"].issuer == "https://idp.example/corp"


def test_one_inline_table_of_all_profiles_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "login.toml"
    path.write_text('profile = { a = { issuer = "https://a.example", client_id = "kdb" } }\n')
    write(offered(TABLE, "x", path))
    assert set(read(path.read_text(), "x").profiles) == {"a", "corp"}


def test_a_file_that_was_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "login.toml"
    offer = offered(TABLE, "x", path)
    path.write_text(OTHER)
    with pytest.raises(ProfileRefused, match="changed meanwhile"):
        write(offer)
    assert path.read_text() == OTHER


def test_what_hands_out_nothing_or_more_than_profiles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "login.toml"
    with pytest.raises(ProfileRefused, match=r"x has no \[profile.NAME\]"):
        offered("", "x", path)
    with pytest.raises(ProfileRefused, match="has keep, which is yours to say"):
        offered('keep = "none"\n' + TABLE, "x", path)
    many = "".join(TABLE.replace("corp]", f"p{number}]") for number in range(64))
    path.write_text(many)
    with pytest.raises(ProfileRefused, match="would be 65, must be at most 64"):
        offered(TABLE, "x", path)


def test_where_it_cannot_be_written_that_is_told(tmp_path: Path) -> None:
    offer = offered(TABLE, "x", tmp_path / "sessiond" / "login.toml")
    (tmp_path / "sessiond").write_text("")
    with pytest.raises(CannotKeep, match="cannot write"):
        write(offer)
    (tmp_path / "sessiond").unlink()
    (tmp_path / "sessiond").mkdir()
    (tmp_path / "sessiond").chmod(0o777)
    with pytest.raises(ProfileRefused, match="who gets your tokens"):
        write(offer)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
words = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=30)
profiles = st.builds(
    Profile,
    issuer=st.just("https://idp.example"),
    client_id=words.filter(bool),
    scopes=st.lists(words, max_size=3).map(lambda more: ("openid", *more)),
    audience=words,
    send=st.sampled_from(["pair", "access"]),
    insecure_http=st.booleans(),
    max_age=st.none() | st.integers(0, MAX_AGE),
)


@given(
    st.dictionaries(names, profiles, max_size=4).filter(
        lambda made: len({name.casefold() for name in made}) == len(made)
    ),
    st.sampled_from([None, "file"]),
)
def test_profiles_as_toml_are_read_as_they_were(made: dict[str, Profile], keep: object) -> None:
    file = LoginFile(profiles=made, keep=keep)  # type: ignore[arg-type]
    assert read(as_toml(file), "x") == file


def test_standard_input_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ProfileRefused, match="standard input is closed"):
        fetched("-")
