"""The daemon's proof to q, and its answer to `hello`."""

import hashlib
from uuid import UUID

import pytest

from sessiond import __version__
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout
from sessiond.kdb.calls import Hello
from sessiond.kdb.proof import proof_of
from sessiond.kdb.welcome import ConnectionSettings, Welcome
from sessiond.qipc import Atom, Value, Vector, mapping
from sessiond.qipc.values import QType

ADDRESS = "/tmp/kx.5099"
NONCE = "0123456789abcdef"
KEY = "c2VjcmV0a2V5"  # not decoded: the text is the key
HELLO = Hello(about=ProcessAbout(name="gw1", type="gateway", host="h", pid=1), nonce=NONCE)


def proof(key: str = KEY, address: str = ADDRESS, nonce: str = NONCE) -> bytes:
    return proof_of(Secret(key), address=address, nonce=nonce)


def settings(key: Secret | None) -> ConnectionSettings:
    return ConnectionSettings(deadline=2.5, max_message=65536, proof_key=key)


def answer(key: Secret | None) -> dict[str, Value]:
    welcome = Welcome(instance=UUID(int=42), address=ADDRESS)
    return mapping(welcome.answer(HELLO, settings(key)))


def test_the_proof_is_what_other_tools_make_of_it() -> None:
    # I=$(printf '%ssessiond:/tmp/kx.5099:0123456789abcdef' $KEY | openssl sha1 -binary | …)
    assert proof().hex() == "68e96e52a145d5c5e8771991c94a9b9a8ee9516c"


def test_the_proof_is_a_hash_of_the_key_and_a_hash_of_the_key_and_the_text() -> None:
    inner = hashlib.sha1(b"c2VjcmV0a2V5sessiond:/run/q/kx.7:" + b"n" * 128).digest()  # noqa: S324 - what kdb+ has
    outer = hashlib.sha1(b"c2VjcmV0a2V5" + inner).digest()  # noqa: S324 - what kdb+ has
    assert proof(address="/run/q/kx.7", nonce="n" * 128) == outer


@pytest.mark.parametrize(
    "other",
    [proof(key="another"), proof(address="/tmp/kx.5098"), proof(nonce="0123456789abcdeg")],
)
def test_another_key_address_or_nonce_is_another_proof(other: bytes) -> None:
    assert other != proof()


def test_the_answer_to_hello_has_four_keys_of_these_types() -> None:
    entries = answer(Secret(KEY))
    assert entries == {
        "server": Vector(QType.CHAR, f"sessiond {__version__}".encode()),
        "instance": Atom(QType.GUID, UUID(int=42)),
        "proof": Vector(QType.BYTE, proof()),
        "deadline": Atom(QType.TIMESPAN, 2_500_000_000),
    }


def test_without_a_key_the_proof_is_empty() -> None:
    entries = answer(None)
    assert entries["proof"] == Vector(QType.BYTE, b"")


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(settings(Secret(KEY)))
