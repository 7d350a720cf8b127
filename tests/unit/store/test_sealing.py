"""Sealing: opens in its own place with its own key, and nowhere else."""

import base64
import hashlib
import hmac
import json
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.errors import ConfigError, SessiondError
from sessiond.core.secret import Secret
from sessiond.store.sealing import KeyRing, SealError, TokenHasher

ONE, TWO = bytes(range(32)), bytes(range(32, 64))
PLACE = {
    "table": "grants",
    "column": "refresh_token",
    "row": "17",
    "issuer": "corp",
    "subject": "alice",
}
RING = KeyRing({1: ONE})


def in_base64(key: bytes) -> str:
    return base64.b64encode(key).decode()


@given(text=st.text(max_size=200))
def test_a_sealed_secret_opens_in_its_place(text: str) -> None:
    assert RING.unseal(RING.seal(Secret(text), **PLACE), **PLACE).reveal() == text


def test_the_plain_text_is_nowhere_in_the_sealed_value() -> None:
    assert b"hunter2" not in RING.seal(Secret("hunter2"), **PLACE)


def test_sealing_twice_gives_two_values() -> None:
    assert RING.seal(Secret("a"), **PLACE) != RING.seal(Secret("a"), **PLACE)


@pytest.mark.parametrize("part", PLACE)
def test_a_value_moved_to_another_place_does_not_open(part: str) -> None:
    sealed = RING.seal(Secret("hunter2"), **PLACE)

    with pytest.raises(SealError, match="the value as it was") as refused:
        RING.unseal(sealed, **{**PLACE, part: "other"})
    assert "hunter2" not in str(refused.value)


def test_no_two_places_are_spelled_alike() -> None:
    place = {**PLACE, "issuer": 'a","b', "subject": "c"}
    other = {**PLACE, "issuer": "a", "subject": 'b","c'}

    with pytest.raises(SealError):
        RING.unseal(RING.seal(Secret("x"), **place), **other)


def test_every_single_changed_byte_is_noticed() -> None:
    sealed = RING.seal(Secret("hunter2"), **PLACE)

    for at in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[at] ^= 1
        with pytest.raises(SealError):
            RING.unseal(bytes(damaged), **PLACE)


def test_every_shorter_value_is_noticed() -> None:
    sealed = RING.seal(Secret("hunter2"), **PLACE)

    for size in range(len(sealed)):
        with pytest.raises(SealError):
            RING.unseal(sealed[:size], **PLACE)


def test_another_key_of_the_same_id_does_not_open_it() -> None:
    sealed = RING.seal(Secret("x"), **PLACE)

    with pytest.raises(SealError, match="does not open with key 1, wanted the one that sealed it"):
        KeyRing({1: TWO}).unseal(sealed, **PLACE)


def test_a_missing_key_is_told_by_its_id() -> None:
    sealed = KeyRing({7: ONE}).seal(Secret("x"), **PLACE)

    with pytest.raises(SealError, match="sealed with key 7, wanted one of store"):
        RING.unseal(sealed, **PLACE)


def test_after_rotation_old_values_open_and_new_ones_need_the_new_key() -> None:
    rotated = KeyRing({1: ONE, 2: TWO})
    old, new = RING.seal(Secret("old"), **PLACE), rotated.seal(Secret("new"), **PLACE)

    assert rotated.unseal(old, **PLACE).reveal() == "old"
    assert KeyRing({2: TWO}).unseal(new, **PLACE).reveal() == "new"
    assert (rotated.is_current(old), rotated.is_current(new)) == (False, True)


def test_the_layout_is_what_is_written_down() -> None:
    """Opened by hand: version, key id, salt, nonce, and the place as a JSON array."""
    sealed = KeyRing({258: ONE}).seal(Secret("hunter2"), **PLACE)

    assert sealed[:5] == b"\x01\x00\x00\x01\x02"
    salt, nonce, text = sealed[5:21], sealed[21:33], sealed[33:]
    key = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"sessiond/sealing/v1").derive(ONE)
    place = json.dumps([1, 258, *PLACE.values()], separators=(",", ":")).encode()
    assert AESGCM(key).decrypt(nonce, text, place) == b"hunter2"


def test_a_seal_error_is_one_of_ours() -> None:
    assert issubclass(SealError, SessiondError)


@pytest.mark.parametrize("keys", [{}, {1: b"short"}, {0: ONE}, {2**32: ONE}])
def test_a_ring_of_wrong_keys_is_not_made(keys: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match="key"):
        KeyRing(keys)


# The key file


def test_a_key_alone_has_id_one() -> None:
    ring = KeyRing.from_text(Secret(in_base64(ONE)))

    assert ring.unseal(RING.seal(Secret("x"), **PLACE), **PLACE).reveal() == "x"


def test_a_ring_is_a_line_for_each_key_and_the_highest_id_seals() -> None:
    text = f"# since spring\n\n  10:{in_base64(TWO)}\n9:{in_base64(ONE)}\r\n"
    sealed = KeyRing.from_text(Secret(text)).seal(Secret("x"), **PLACE)

    assert KeyRing({10: TWO}).unseal(sealed, **PLACE).reveal() == "x"


@pytest.mark.parametrize(
    "line",
    [
        "hunter2",
        in_base64(ONE)[:-1],
        in_base64(ONE + b"x"),
        in_base64(ONE[:-1]),
        f"x:{in_base64(ONE)}",
        f"0:{in_base64(ONE)}",
        f"{2**32}:{in_base64(ONE)}",
        f"-1:{in_base64(ONE)}",
        f"1:{in_base64(ONE)} x",
        base64.urlsafe_b64encode(b"\xff" * 32).decode(),
    ],
)
def test_a_line_that_is_no_key_is_told_by_its_number_only(line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        KeyRing.from_text(Secret(f"2:{in_base64(TWO)}\n{line}\n"))
    assert str(refused.value).startswith("store.key_file: line 2 is no key, wanted base64 of 32")
    assert line not in str(refused.value)


def test_a_key_id_is_there_once() -> None:
    text = f"{in_base64(ONE)}\n1:{in_base64(TWO)}"

    with pytest.raises(ConfigError, match="line 2 has key id 1 again"):
        KeyRing.from_text(Secret(text))


def test_a_file_of_comments_has_no_key() -> None:
    with pytest.raises(ConfigError, match="there is no key in it"):
        KeyRing.from_text(Secret("# nothing"))


# Look-ups


def test_a_token_is_known_again() -> None:
    one, other = TokenHasher(ONE), TokenHasher(ONE)

    assert one.token_hash(Secret("token")) == other.token_hash(Secret("token"))
    assert one.token_hash(Secret("token")) != one.token_hash(Secret("tokem"))


def test_nobody_finds_a_token_by_its_hash_without_the_key() -> None:
    found = TokenHasher(ONE).token_hash(Secret("token"))

    assert len(found) == 32
    assert found != TokenHasher(TWO).token_hash(Secret("token"))
    assert found not in {
        hashlib.sha256(b"token").digest(),
        hmac.digest(ONE, b"token", hashlib.sha256),  # the key itself is not used, one of its own is
    }


def test_a_look_up_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TokenHasher(secrets.token_bytes(31))
