"""The keyring's edge: small entries, odd errors, and calls that never end."""

from threading import Event

import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import KeyringLocked, NoKeyringError
from keyring_fakes import FakeBackend
from sessiond_login.keeping.system_keyring import KeyringAwayError, SystemKeyring


def test_an_entry_is_a_service_of_its_own() -> None:
    backend = FakeBackend()
    SystemKeyring(backend=lambda: backend).set("corp/a/0", "text")
    assert backend.entries == {("sessiond-login:corp/a/0", "tokens"): "text"}


def test_what_was_set_is_got_and_deleted() -> None:
    entries = SystemKeyring(backend=FakeBackend)
    assert entries.get("corp") is None
    entries.set("corp", "text")
    assert entries.get("corp") == "text"
    entries.delete("corp")
    assert entries.get("corp") is None


def test_a_backend_that_nobody_knows_is_given_short_entries() -> None:
    entries = SystemKeyring(backend=FakeBackend)
    entries.set("corp", "x" * entries.longest)
    assert entries.longest == 1_000


def test_a_backend_that_is_known_to_be_roomy_is_given_long_ones() -> None:
    class Roomy(FakeBackend):
        __module__ = "keyring.backends.SecretService"

    assert SystemKeyring(backend=Roomy).longest == 60_000


@pytest.mark.parametrize("given", [b"bytes", 5, object(), "\ud800", ["x"]])
def test_what_gives_back_anything_but_what_it_was_given_is_away(given: object) -> None:
    class Odd(FakeBackend):
        def get_password(self, service: str, username: str) -> str | None:
            return given  # type: ignore[return-value]

    with pytest.raises(KeyringAwayError, match=r"failed \(TypeError\)"):
        SystemKeyring(backend=Odd).get("corp")


class Plain(FakeBackend):
    __module__ = "keyrings.alt.file"


class Unwanted(FakeBackend):
    priority = 0.5


@pytest.mark.parametrize(
    "kind", [keyring.backends.fail.Keyring, keyring.backends.null.Keyring, Plain, Unwanted]
)
def test_what_keeps_nothing_or_in_plain_text_is_no_keyring(kind: type[KeyringBackend]) -> None:
    with pytest.raises(KeyringAwayError, match="is not there") as raised:
        SystemKeyring(backend=kind).get("corp")
    assert raised.value.absent


def test_of_several_the_first_that_is_fit_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = FakeBackend()
    monkeypatch.setattr(ChainerBackend, "backends", [Plain(), Unwanted(), fit])
    SystemKeyring(backend=ChainerBackend).set("corp", "text")
    assert list(fit.entries.values()) == ["text"]


FAULTS = {
    "is locked, and was not unlocked": KeyringLocked("secret-token"),
    "is not there": NoKeyringError("secret-token"),
    "failed (OSError)": OSError("secret-token"),
    "failed (SystemExit)": SystemExit("secret-token"),
}


@pytest.mark.parametrize("words", FAULTS)
def test_whatever_it_raises_it_is_away_and_its_own_words_are_not_told(words: str) -> None:
    backend = FakeBackend()
    backend.fault = FAULTS[words]
    with pytest.raises(KeyringAwayError) as raised:
        SystemKeyring(backend=lambda: backend).get("corp")
    assert str(raised.value) == words
    assert raised.value.__cause__ is None


def test_one_that_cannot_be_found_at_all_is_away() -> None:
    def broken() -> KeyringBackend:
        raise ModuleNotFoundError("PYTHON_KEYRING_BACKEND")

    with pytest.raises(KeyringAwayError, match=r"failed .ModuleNotFoundError"):
        SystemKeyring(backend=broken).get("corp")


def test_one_that_failed_is_not_asked_again() -> None:
    backend = FakeBackend()
    backend.fault = KeyringLocked()
    entries = SystemKeyring(backend=lambda: backend)
    for _ in range(3):
        with pytest.raises(KeyringAwayError, match="is locked"):
            entries.get("corp")
    assert backend.calls == 1


def test_a_call_that_hangs_is_left_to_itself() -> None:
    backend = FakeBackend()
    backend.hang = Event()
    with pytest.raises(KeyringAwayError, match=r"did not answer within 0\.01 s"):
        SystemKeyring(backend=lambda: backend, deadline=0.01).get("corp")
    backend.hang.set()


def test_without_being_told_otherwise_it_is_what_keyring_recommends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = FakeBackend()
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    SystemKeyring().set("corp", "text")
    assert list(backend.entries.values()) == ["text"]
