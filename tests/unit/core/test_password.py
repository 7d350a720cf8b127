"""The examples are in tests/vectors/passwords.csv, which the q hook's tests run as well.

A password there that begins with `repeat|` is written short: `repeat|HEAD|TEXT|COUNT|TAIL` is HEAD,
COUNT times TEXT, and TAIL; after `escaped|` a backslash with n, r or t is LF, CR or tab. `is_token`
is what the hook decides by; `kind` is what the daemon makes of it: jwt, opaque, pair-jwt,
pair-opaque and ticket are read, the rest are reasons of refusal; almost is nottoken with another
text, and in the hook a refusal that no other `.z.pw` sees.
"""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.compact import CompactToken, Stated
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import (
    is_almost_token,
    is_encrypted,
    is_sendable,
    is_ticket,
    read_bearer,
    read_password,
    read_ticket,
    stated_claims,
)
from sessiond.core.secret import Secret
from sessiond.core.seen_headers import SeenHeaders
from tests.unit.jwt.forge import b64

VECTORS = Path(__file__).parents[2] / "vectors" / "passwords.csv"

HEADER = "eyJhbGciOiJSUzI1NiJ9"  # {"alg":"RS256"}
ISSUED = f"{HEADER}.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tLyJ9.c2ln"  # iss
ACCESS, REFRESH = "opaqueAccessToken012", "0.refresh!*$token~20"


def examples() -> list[tuple[str, bool, str]]:
    with VECTORS.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, quoting=csv.QUOTE_NONE))
    return [(written(row["password"]), row["is_token"] == "1", row["kind"]) for row in rows]


def written(cell: str) -> str:
    if cell.startswith("escaped|"):
        text = cell.removeprefix("escaped|")
        return text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")
    if not cell.startswith("repeat|"):
        return cell
    _, head, text, count, tail = cell.split("|")
    return head + text * int(count) + tail


def kind(password: str) -> str:
    try:
        if is_ticket(password):
            read_ticket(password)
            return "ticket"
        presented = read_password(password)
    except TokenRejected as rejected:
        is_almost = rejected.reason is Refusal.NOTTOKEN and is_almost_token(password)
        return "almost" if is_almost else rejected.reason.value
    name = "jwt" if presented.is_jwt else "opaque"
    return name if presented.refresh is None else f"pair-{name}"


@pytest.mark.parametrize(("password", "is_token", "expected"), examples())
def test_each_example_is_what_the_shared_table_says(
    password: str, is_token: bool, expected: str
) -> None:
    assert kind(password) == expected
    assert (kind(password) not in {"nottoken", "almost"}) is is_token


def test_the_table_has_examples_of_every_kind() -> None:
    refused = {"toolarge", "malformed", "almost", "nottoken"}
    kinds = {"jwt", "opaque", "pair-jwt", "pair-opaque", "ticket"} | refused
    assert {kind for _, _, kind in examples()} == kinds


@pytest.mark.parametrize(
    ("password", "kind"), [(each, kind) for each, _, kind in examples() if is_ticket(each)]
)
def test_a_ticket_is_no_token_of_an_issuer(password: str, kind: str) -> None:
    """So whoever takes those alone (a renewal) refuses it, and says why."""
    with pytest.raises(TokenRejected) as rejected:
        read_password(password)
    assert rejected.value.reason == (Refusal.WRONGTYPE if kind == "ticket" else kind)


def test_the_mark_is_no_part_of_the_ticket() -> None:
    assert read_ticket(f"ticket:{ISSUED}").reveal() == ISSUED


def test_a_ticket_in_an_authorization_header_is_malformed() -> None:
    with pytest.raises(TokenRejected) as rejected:
        read_bearer(f"ticket:{ISSUED}")
    assert rejected.value.reason is Refusal.MALFORMED


def test_a_pair_is_split_at_the_first_semicolon() -> None:
    presented = read_password(f"{ACCESS};{REFRESH};more")
    assert presented.access.reveal() == ACCESS
    assert presented.refresh is not None
    assert presented.refresh.reveal() == f"{REFRESH};more"


def test_the_mark_is_no_part_of_the_token() -> None:
    assert read_password(f"bearer:{ACCESS}").access.reveal() == ACCESS


def test_a_jwt_states_its_issuer() -> None:
    assert read_password(ISSUED).stated_issuer == "https://login.example.com/"
    assert read_password(f"{ISSUED};{REFRESH}").stated_issuer == "https://login.example.com/"


@pytest.mark.parametrize(
    "payload",
    [
        "e30",  # {}
        "eyJpc3MiOjF9",  # {"iss":1}
        "eyJpc3MiOiJhIiwiaXNzIjoiYiJ9",  # {"iss":"a","iss":"b"}
        "bm90IEpTT04",  # not JSON
        "A",  # not base64url
    ],
)
def test_a_jwt_without_one_readable_issuer_states_none(payload: str) -> None:
    assert read_password(f"{HEADER}.{payload}.c2ln").stated_issuer is None


def test_an_opaque_token_states_nothing() -> None:
    assert read_password(f"bearer:{ACCESS}").stated_issuer is None
    assert stated_claims(Secret(ACCESS)) is None
    assert stated_claims(Secret("eyJ0eXAiOiJKV1QifQ.e30.c2ln")) is None  # {"typ":"JWT"}


def test_a_jwt_states_its_claims_unverified() -> None:
    assert stated_claims(Secret(ISSUED)) == {"iss": "https://login.example.com/"}


JWE = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0"  # {"alg":"dir","enc":"A256GCM"}


@pytest.mark.parametrize("text", [f"{JWE}..aXY.c2VjcmV0.dGFn", f"{JWE}.a2V5.aXY.c2VjcmV0.dGFn"])
def test_an_encrypted_token_is_called_so_and_is_none_of_ours(text: str) -> None:
    assert is_encrypted(text)
    with pytest.raises(TokenRejected, match="an encrypted token") as rejected:
        read_password(text)
    assert rejected.value.reason == Refusal.NOTTOKEN
    assert "encrypted" not in refusal("my plain password")
    assert not read_password(f"bearer:{text}").is_jwt  # its issuer may be able to read it


@pytest.mark.parametrize(
    "text",
    [
        f"{JWE}..aXY.c2VjcmV0",
        f"{JWE}..aXY.c2VjcmV0.dGFn.x",
        f"{HEADER}..aXY.c2VjcmV0.dGFn",
        f"{JWE}AA..aXY.c2VjcmV0.dGFn",
        f"{JWE}..aXY.c2Vj cmV0.dGFn",
        f"x{JWE}..aXY.c2VjcmV0.dGFn",
        "",
    ],
)
def test_what_only_looks_a_little_like_one_is_not_called_encrypted(text: str) -> None:
    assert not is_encrypted(text)
    assert "encrypted" not in refusal(text)


def refusal(password: str) -> str:
    with pytest.raises(TokenRejected) as rejected:
        read_password(password)
    return rejected.value.detail


def test_a_header_of_very_many_values_is_malformed() -> None:
    def presented(values: int) -> str:
        header = '{"alg":"RS256","a":[' + ",".join("1" * values) + "]}"
        return f"{b64(header)}.e30.c2ln"

    assert kind(presented(200)) == "jwt"
    assert kind(presented(300)) == "malformed"


def test_bytes_that_are_no_utf_8_count_as_one_each() -> None:
    with pytest.raises(TokenRejected) as just_fits:
        read_password("bearer:" + "\udcff" * (32768 - 7))
    assert just_fits.value.reason == Refusal.MALFORMED
    with pytest.raises(TokenRejected) as too_long:
        read_password("bearer:" + "\udcff" * (32768 - 6))
    assert too_long.value.reason == Refusal.TOOLARGE


def test_neither_errors_nor_what_is_read_show_the_password() -> None:
    for password in ("my-secret-word", "bearer:my secret word", "bearer:" + "my-secret" * 9999):
        with pytest.raises(TokenRejected) as rejected:
            read_password(password)
        assert "secret" not in repr(rejected.value)
        assert rejected.value.__context__ is None
    assert "secret" not in repr(read_password("bearer:my-secret-word"))


@given(
    st.text(max_size=60)
    | st.builds("bearer:{}".format, st.text(max_size=60))
    | st.builds("{};{}".format, st.text(min_size=20), st.text(min_size=20))
    | st.builds((HEADER[:-4] + "{}.{}.{}").format, *[st.from_regex(r"[\w.-]{0,9}")] * 3)
)
def test_any_text_is_read_or_refused_with_a_reason(password: str) -> None:
    assert kind(password) in {kind for _, _, kind in examples()}


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("hunter2", "a plain password, wanted a token"),
        (f"Bearer {ISSUED}", "almost a token, wanted one whole"),
        (f"{JWE}..aXY.c2VjcmV0.dGFn", r"an encrypted token \(JWE\)"),
    ],
)
def test_a_password_that_is_no_token_is_told_apart_from_one_that_almost_is(
    password: str, words: str
) -> None:
    with pytest.raises(TokenRejected, match=words) as rejected:
        read_password(password)
    assert rejected.value.reason is Refusal.NOTTOKEN
    assert ISSUED not in str(rejected.value)


AROUND = st.text(" \t\r\n\"'`", max_size=4)
TOKENS = st.sampled_from([ISSUED, f"{ACCESS};{REFRESH}", f"{ISSUED};{REFRESH}"])


@given(
    before=AROUND,
    scheme=st.sampled_from(["", "Bearer ", "bearer\t", "BEARER: "]),
    token=TOKENS,
    after=AROUND,
)
def test_a_token_with_blanks_quotes_and_its_scheme_around_it_is_one_or_almost_one(
    before: str, scheme: str, token: str, after: str
) -> None:
    assert kind(f"{before}{scheme}{before}{token}{after}") != "nottoken"


@given(st.text(st.characters(exclude_characters=";.:"), max_size=60))
def test_a_password_without_semicolon_dot_and_colon_is_a_plain_one_or_names_its_scheme(
    password: str,
) -> None:
    assert kind(password) == "nottoken" or "bearer" in password.lower()


@pytest.mark.parametrize("text", ["!", "a" * 32768, "~access;refresh=."])
def test_what_a_header_and_a_form_can_carry_can_be_a_token(text: str) -> None:
    assert is_sendable(text)


@pytest.mark.parametrize("text", ["", "a" * 32769, "a b", "a\n", "a\r\nb", "a\x7f", "é", "\udcff"])
def test_anything_else_cannot(text: str) -> None:
    assert not is_sendable(text)


def bearer_kind(token: str) -> str:
    try:
        return "jwt" if read_bearer(token).is_jwt else "opaque"
    except TokenRejected as rejected:
        return rejected.reason.value


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (ISSUED, "jwt"),
        (ACCESS, "opaque"),
        ("x", "opaque"),
        ("abc==", "opaque"),
        (f"{JWE}..aXY.c2VjcmV0.dGFn", "opaque"),  # its issuer may be able to read it
        ("", "malformed"),
        (f"bearer:{ACCESS}", "malformed"),
        (f"{ACCESS};{REFRESH}", "malformed"),
        (f"{ISSUED};{REFRESH}", "malformed"),
        (f"{ISSUED} ", "malformed"),
        (f"Bearer {ISSUED}", "malformed"),
        ("abc=d", "malformed"),
        ("caf\u00e9", "malformed"),
        ("\udcff", "malformed"),
        ("eyJ4IjoxLCJhbGciOjF9IH0.e30.c2ln", "malformed"),  # a header that is no strict JSON
        ("x" * 32768, "opaque"),
        ("x" * 32769, "toolarge"),
        ("\udcff" * 32769, "toolarge"),
    ],
)
def test_a_bearer_is_a_jwt_or_an_opaque_token_and_never_a_pair_or_marked(
    token: str, kind: str
) -> None:
    assert bearer_kind(token) == kind


def test_a_bearer_in_a_header_that_was_in_order_before_is_not_read_again() -> None:
    headers = SeenHeaders[Stated]()
    first = read_bearer(ISSUED, headers)
    assert isinstance(first.access, CompactToken)
    assert headers.find(HEADER) is first.access.stated_header
    again = read_bearer(f"{HEADER}.e30.c2ln", headers)
    assert isinstance(again.access, CompactToken)
    assert again.access.stated_header is first.access.stated_header


@given(st.text(max_size=60) | st.from_regex(r"[\w.~+/=;:-]{0,60}"))
def test_a_bearer_is_what_bearer_and_it_are_as_a_password_but_for_pairs(token: str) -> None:
    as_password = kind(f"bearer:{token}")
    expected = "malformed" if as_password.startswith("pair") else as_password
    assert bearer_kind(token) == expected
