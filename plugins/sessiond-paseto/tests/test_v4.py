"""The format, by the official vectors and by what breaks it."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from paseto_mint import Mint
from sessiond_paseto.keys import key_id
from sessiond_paseto.v4 import HEADER, FormatError, decoded, encoded, pae, read_token

VECTORS = json.loads((Path(__file__).parent / "v4-public.json").read_text())
KEY = Ed25519PublicKey.from_public_bytes(bytes.fromhex(VECTORS["public-key"]))


@pytest.mark.parametrize("vector", VECTORS["tests"], ids=lambda vector: vector["name"])
def test_the_official_tokens_are_signed_as_they_say(vector: dict[str, Any]) -> None:
    token = read_token(vector["token"])
    assertion = vector["implicit-assertion"].encode()
    assert json.loads(token.message) == VECTORS["payload"]
    assert token.footer == vector["footer"].encode()
    assert token.is_signed_by(KEY, assertion)
    assert not token.is_signed_by(KEY, assertion + b" ")


@pytest.mark.parametrize(("public", "name"), VECTORS["ids"])
def test_the_official_key_ids_are_ours(public: str, name: str) -> None:
    assert key_id(bytes.fromhex(public)) == name


@pytest.mark.parametrize(
    ("pieces", "encoding"),
    [
        ((), "0000000000000000"),
        ((b"",), "01000000000000000000000000000000"),
        ((b"test",), "0100000000000000040000000000000074657374"),
    ],
)
def test_pieces_are_put_together_as_in_the_specification(
    pieces: tuple[bytes, ...], encoding: str
) -> None:
    assert pae(*pieces).hex() == encoding


def test_every_bit_of_a_token_counts() -> None:
    footer = '{"kid":"a"}'
    text = Mint().token(footer=footer)
    body, tail = text.removeprefix(HEADER).split(".")
    key = Ed25519PublicKey.from_public_bytes(decoded(Mint().line.removeprefix("k4.public.")))
    assert read_token(text).is_signed_by(key, b"")
    for part in (0, 1):
        content = decoded((body, tail)[part])
        for at in range(len(content)):
            damaged = bytearray(content)
            damaged[at] ^= 1
            parts = [body, tail]
            parts[part] = encoded(bytes(damaged))
            assert not read_token(HEADER + ".".join(parts)).is_signed_by(key, b"")


TOKEN = Mint().token()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v4.public.",
        "v4.public.." + TOKEN.removeprefix(HEADER),
        TOKEN.replace("v4.", "V4."),
        "v4.local." + TOKEN.removeprefix(HEADER),
        TOKEN + ".",
        TOKEN + ".e30.e30",
        TOKEN + "=",
        TOKEN.replace("public.", "public. "),
        HEADER + encoded(bytes(64)),  # a signature of nothing
        HEADER + "A" * 89,  # no length that base64 has
        HEADER + encoded(bytes(65))[:-1] + "B",  # bits that no byte has
    ],
)
def test_what_is_no_token_is_told_apart(text: str) -> None:
    with pytest.raises(FormatError):
        read_token(text)
