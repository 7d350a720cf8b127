"""Records as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keep_fakes import kept, same
from sessiond_login.keeping.record import from_text, to_text


@pytest.mark.parametrize("refresh", ["r", None])
def test_a_record_comes_back_as_it_was(refresh: str | None) -> None:
    record = kept(refresh=refresh)
    assert same(from_text(to_text(record)), record)


def test_it_is_ascii_whatever_the_persons_name() -> None:
    assert to_text(kept()).isascii()


@given(st.text(max_size=100) | st.just("[" * 100_000) | st.just('{"access": 1}'))
def test_what_is_no_record_is_none(text: str) -> None:
    assert from_text(text) is None


@given(st.integers(0, 200), st.characters(max_codepoint=126))
def test_a_damaged_record_is_none_or_a_record(at: int, character: str) -> None:
    text = to_text(kept())
    found = from_text(text[: at % len(text)] + character + text[at % len(text) + 1 :])
    assert found is None or found.access.reveal()


def test_what_a_later_version_wrote_besides_does_no_harm() -> None:
    assert same(from_text(to_text(kept())[:-1] + ', "later": 1}'), kept())


def test_only_secrets_are_revealed() -> None:
    with pytest.raises(TypeError, match="object"):
        to_text(object())  # type: ignore[arg-type]
