"""Project Wycheproof's signatures and keys (tests/vectors/wycheproof): each case, as it says.

Where our outcome is another, the case is listed with the reason. The lists are compared as a whole,
so that a case that comes to deviate fails, and so does one that no longer does.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.core.secret import Secret
from sessiond.jwt.header import _REGISTRY, ALGORITHMS, HeaderRules, Signers
from sessiond.jwt.keyset import KeySet, UnknownKeyError
from sessiond.jwt.signature import signed_claims
from tests.unit.jwt.forge import ED, RSA, b64, jwk, keys, token

VECTORS = Path(__file__).parents[2] / "vectors" / "wycheproof"

EMPTY = "valid, but its payload is empty: no claims, refused before any key is looked up"
OTHER_PS = "valid, but its key is published for PS256 and the header says PS384"
NO_SUCH_ALGORITHM = "valid, but its key is published for an algorithm that does not exist, ES521"

REFUSED_SIGNATURES = {
    259: EMPTY,
    264: EMPTY,
    268: EMPTY,
    272: EMPTY,
    320: EMPTY,
    325: EMPTY,
    346: OTHER_PS,
    347: NO_SUCH_ALGORITHM,
    350: OTHER_PS,
    351: NO_SUCH_ALGORITHM,
}
HS256_CASES = 40

MACS = "valid, but a set of shared secrets: whoever can check a MAC can make one"
REFUSED_KEYS = {2: MACS, 13: MACS, 14: MACS, 15: MACS}

Case = tuple[Mapping[str, Any], Mapping[str, Any]]  # the group and the test


def cases(name: str) -> Iterator[Case]:
    content = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    found = [(group, test) for group in content["testGroups"] for test in group["tests"]]
    assert len(found) == content["numberOfTests"]
    yield from found


def holds(text: str, jwks: Mapping[str, object]) -> bool:
    """Say whether a signature is good, though none of these signs claims."""
    rules = HeaderRules.of(algorithms=ALGORITHMS, types=frozenset({""}))
    try:
        signed_claims(Secret(text), Signers(KeySet.parse(jwks), rules))
    except TokenRejected as rejected:
        # The payload, which is a word, is looked at only after the signature held.
        return rejected.detail.startswith("the payload is not a strict JSON object")
    except (UnknownKeyError, IssuerUnavailable):
        return False
    return True


def published(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the group's keys as a key set: the public ones, else all that it has."""
    found: dict[str, Any] = group.get("public", group["private"])
    return found if "keys" in found else {"keys": [found]}


def is_mac(group: Mapping[str, Any]) -> bool:
    return any(key["kty"] == "oct" for key in published(group)["keys"])


def deviating(name: str) -> set[int]:
    return {
        test["tcId"]
        for group, test in cases(name)
        if holds(test["jws"], published(group)) != (test["result"] == "valid")
    }


def test_each_signature_by_a_private_key_is_judged_as_wycheproof_does() -> None:
    of_macs = {
        test["tcId"] for group, test in cases("json_web_signature_test.json") if is_mac(group)
    }
    assert len(of_macs) == HS256_CASES
    assert deviating("json_web_signature_test.json") - of_macs == set(REFUSED_SIGNATURES)


def test_whatever_deviates_is_a_valid_case_refused_and_never_an_invalid_one_accepted() -> None:
    for name in ("json_web_signature_test.json", "json_web_key_test.json"):
        invalid = {test["tcId"] for _, test in cases(name) if test["result"] == "invalid"}
        assert invalid
        assert not deviating(name) & invalid


@pytest.mark.parametrize("kid_of_the_mac", [True, False])
def test_no_mac_is_accepted_be_it_valid_or_not(kid_of_the_mac: bool) -> None:
    for group, test in cases("json_web_signature_test.json"):
        if is_mac(group):
            assert not holds(test["jws"], published(group))
            ours = jwk(RSA, kid=group["private"]["kid"]) if kid_of_the_mac else jwk(RSA)
            assert not holds(test["jws"], {"keys": [ours]})


def test_each_key_set_is_taken_or_refused_as_wycheproof_does() -> None:
    assert deviating("json_web_key_test.json") == set(REFUSED_KEYS)


# Ed25519. These sign arbitrary bytes, which no JWS can be made of, so they go to what a JWS goes
# to: a key read by KeySet.parse, and the model of the registry.


def test_each_edwards_signature_is_judged_as_wycheproof_does() -> None:
    model: Any = _REGISTRY.get_alg("EdDSA")
    outcomes = set()
    for group, test in cases("ed25519_test.json"):
        (key,) = KeySet.parse({"keys": [group["publicKeyJwk"]]}).candidates(
            kid="none", algorithm="EdDSA"
        )
        message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
        accepted = model.verify(message, signature, key.key)
        assert accepted == (test["result"] == "valid"), test
        outcomes.add(accepted)
    assert outcomes == {True, False}


def test_an_edwards_signature_of_a_token_is_not_malleable() -> None:
    order = 2**252 + 27742317777372353535851937790883648493  # RFC 8032, 5.1
    good = token(header={"kid": "ed", "alg": "EdDSA"}, key=ED)
    text, _, encoded = good.reveal().rpartition(".")
    model: Any = _REGISTRY.get_alg("EdDSA")
    signature = model.sign(text.encode(), ED)
    assert encoded == b64(signature)
    scalar = int.from_bytes(signature[32:], "little")
    other = signature[:32] + (scalar + order).to_bytes(32, "little")
    rules = HeaderRules.of(algorithms=ALGORITHMS, types=frozenset({"at+jwt"}))
    with pytest.raises(TokenRejected, match="no signature of a key of the issuer"):
        signed_claims(Secret(f"{text}.{b64(other)}"), Signers(keys(), rules))
