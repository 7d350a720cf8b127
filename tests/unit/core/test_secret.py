import copy
import pickle

import pytest

from sessiond.core.secret import Secret

TEXT = "eyJhbGciOi.secret.sauce"


@pytest.fixture
def secret() -> Secret:
    return Secret(TEXT)


def test_only_revealing_gives_the_text(secret: Secret) -> None:
    assert secret.reveal() == TEXT


def test_however_it_is_printed_the_text_does_not_show(secret: Secret) -> None:
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!s:>40}",
        f"{secret:>40}",
        "%s %r" % (secret, secret),  # noqa: UP031 - a log may format so
        str([secret]),
        str({"token": secret}),
        str(ValueError(secret)),
    ]
    assert not [text for text in shown if TEXT in text]
    assert f"{secret}" == "Secret(***)"


def test_two_secrets_are_compared_only_by_same_as(secret: Secret) -> None:
    assert secret.same_as(Secret(TEXT))
    assert not secret.same_as(Secret("another"))
    with pytest.raises(TypeError, match="same_as"):
        _ = secret == Secret(TEXT)
    with pytest.raises(TypeError, match="same_as"):
        _ = secret != TEXT


def test_texts_beyond_ascii_can_be_compared() -> None:
    assert Secret("pässword").same_as(Secret("pässword"))
    assert not Secret("pässword").same_as(Secret("password"))


def test_it_is_no_key_of_a_dictionary(secret: Secret) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)


def test_it_is_not_pickled(secret: Secret) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(secret, protocol)


def test_copying_makes_no_second_one(secret: Secret) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"deep": secret})["deep"] is secret


def test_it_has_no_dictionary_for_a_debugger_to_print(secret: Secret) -> None:
    assert not hasattr(secret, "__dict__")
