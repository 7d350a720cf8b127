import pytest

from sessiond.core.spelling import nearest, unknown


@pytest.mark.parametrize(
    ("word", "meant"), [("prot", "port"), ("controll", "control"), ("xyzzy", None), ("", None)]
)
def test_what_is_spelt_most_alike_was_meant(word: str, meant: str | None) -> None:
    assert nearest(word, ["port", "control", "path"]) == meant


def test_where_nothing_is_known_nothing_was_meant() -> None:
    assert nearest("port", []) is None


def test_an_unknown_word_is_named_with_what_was_meant() -> None:
    assert unknown("prot", "port") == "prot is unknown; did you mean port?"
    assert unknown("prot", None) == "prot is unknown"
