"""A token taken apart: what it states is read once, and it stays a secret."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.util import urlsafe_b64decode

from sessiond.core import compact as module
from sessiond.core.compact import CompactToken, decoded, is_canonical
from sessiond.core.jsontext import read_object
from sessiond.core.secret import Secret
from tests.unit.jwt.forge import b64

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def compact(header: str, payload: str, signature: str = "c2ln") -> CompactToken:
    text = f"{header}.{payload}.{signature}"
    return CompactToken(text, (header, payload, signature))


def test_it_states_what_its_parts_hold() -> None:
    token = compact(b64('{"alg":"RS256"}'), b64('{"iss":"corp"}'))
    assert (token.stated_header, token.stated_claims) == ({"alg": "RS256"}, {"iss": "corp"})
    assert token.signing_input == f"{token.header_part}.{token.payload_part}".encode()


@pytest.mark.parametrize("part", [b64("no JSON"), b64('{"a":1,"a":2}'), b64("[]"), "A", "AAAAA"])
def test_a_part_that_is_no_strict_object_states_nothing(part: str) -> None:
    token = compact(part, part)
    for _ in range(2):
        assert (token.stated_header, token.stated_claims) == (None, None)


def test_a_header_may_have_fewer_values_than_a_payload() -> None:
    part = b64(json.dumps({"a": [1] * 300}))
    token = compact(part, part)
    assert token.stated_header is None
    assert token.stated_claims is not None


@pytest.mark.parametrize("payload", [b64('{"iss":"corp"}'), b64("no JSON")])
def test_each_part_is_read_once_however_often_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, payload: str
) -> None:
    read = list[bytes]()

    def counted(text: bytes, **bounds: int) -> dict[str, object] | None:
        read.append(text)
        return read_object(text, **bounds)

    monkeypatch.setattr(module, "read_object", counted)
    token = compact(b64('{"alg":"RS256"}'), payload)
    for _ in range(3):
        assert token.stated_header == {"alg": "RS256"}
        token.stated_claims  # noqa: B018 - read
    assert len(read) == 2


def test_a_header_that_is_known_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_object", None)
    known = {"alg": "RS256"}
    assert CompactToken("a.b.c", ("a", "b", "c"), header=known).stated_header is known


def test_it_is_a_secret_like_any_other() -> None:
    token = compact(b64('{"alg":"RS256"}'), b64('{"iss":"corp"}'))
    assert isinstance(token, Secret)
    assert (repr(token), str(token), f"{token}") == ("Secret(***)",) * 3
    assert token.same_as(Secret(token.reveal()))
    with pytest.raises(TypeError):
        token.__reduce__()


@given(st.text(ALPHABET, min_size=1, max_size=40))
def test_a_part_is_canonical_where_a_strict_decoder_takes_it(part: str) -> None:
    try:
        strictly = urlsafe_b64decode(part.encode())
    except ValueError:
        assert not is_canonical(part)
    else:
        assert is_canonical(part)
        assert decoded(part) == strictly


@given(st.text(ALPHABET, min_size=1, max_size=40).filter(lambda part: len(part) % 4 != 1))
def test_bits_beyond_the_last_byte_do_not_count(part: str) -> None:
    assert decoded(part) == base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
