"""A token shows nowhere by accident."""

import copy
import pickle

import pytest
from sessiond_login.secret import Secret

TEXT = "eyJhbGciOi.secret.sauce"


def test_however_it_is_printed_the_text_does_not_show() -> None:
    secret = Secret(TEXT)
    shown = [str(secret), repr(secret), f"{secret:>40}", str([secret]), str(ValueError(secret))]
    assert [text for text in shown if TEXT in text] == []
    assert secret.reveal() == TEXT


def test_two_are_compared_only_by_same_as() -> None:
    assert Secret("pässword").same_as(Secret("pässword"))
    assert not Secret(TEXT).same_as(Secret("another"))
    with pytest.raises(TypeError, match="same_as"):
        _ = Secret(TEXT) == Secret(TEXT)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(TEXT))


def test_there_is_no_second_one_in_memory_or_in_a_pickle() -> None:
    secret = Secret(TEXT)
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret)
