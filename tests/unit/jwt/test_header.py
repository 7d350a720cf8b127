"""A header is judged once within one issuer's keys and rules, and never by another's judgement."""

import pytest

from sessiond.core.compact import CompactToken
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.seen_headers import MOST
from sessiond.jwt.header import HeaderRules, JudgedHeader, Signers
from sessiond.jwt.keyset import KeySet, UnknownKeyError
from sessiond.jwt.signature import signed_claims, taken_apart
from tests.unit.jwt.forge import CLAIMS, HEADER, OTHER_RSA, RSA, jwk, keys, signed, token, without

RULES = HeaderRules.of(algorithms=frozenset({"RS256"}), types=frozenset({"AT+JWT", ""}))


def compact(**header: object) -> CompactToken:
    return taken_apart(token(header=header))


def test_rules_are_spelt_one_way() -> None:
    rules = HeaderRules.of(
        algorithms=frozenset({"EdDSA", "RS256", "none", "HS256"}),
        types=frozenset({"application/AT+JWT", ""}),
    )
    assert rules.algorithms == {"Ed25519", "RS256"}
    assert rules.types == {"at+jwt", ""}


def test_a_header_that_comes_again_is_judged_once() -> None:
    signers = Signers(keys(), RULES)
    first = signers.judged(compact())
    assert signers.judged(compact()) is first
    assert signers.judged(compact(x="another text")) is not first


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"typ": "JWT"}, {"crit": ["exp"]}, {"nonce": "n"}, {"kid": 7}]
)
def test_a_header_that_is_refused_is_refused_each_time_with_a_fault_of_its_own(
    header: dict[str, object],
) -> None:
    signers, caught = Signers(keys(), RULES), list[TokenRejected]()
    for _ in range(2):
        with pytest.raises(TokenRejected) as rejected:
            signers.judged(compact(**header))
        caught.append(rejected.value)
    assert caught[0] is not caught[1]
    assert str(caught[0]) == str(caught[1])


def test_a_header_that_names_no_key_is_not_remembered_as_such() -> None:
    for _ in range(2):
        with pytest.raises(UnknownKeyError):
            Signers(keys(), RULES).judged(compact(kid="new"))


def test_what_one_key_set_judged_says_nothing_of_another() -> None:
    old, new = keys(jwk(RSA, kid="rsa")), keys(jwk(OTHER_RSA, kid="rsa"))
    before, after = Signers(old, RULES), Signers(new, RULES)
    assert signed_claims(token(), before).claims == CLAIMS
    with pytest.raises(TokenRejected) as rejected:
        signed_claims(token(), after)
    assert rejected.value.reason is Refusal.BADSIGNATURE
    assert signed_claims(token(key=OTHER_RSA), after).key.id == OTHER_RSA.thumbprint()
    with pytest.raises(TokenRejected):
        signed_claims(token(key=OTHER_RSA), before)


def test_what_one_issuer_s_rules_judged_says_nothing_of_another_s() -> None:
    by = keys()
    lax, strict = (
        Signers(by, RULES),
        Signers(by, HeaderRules.of(algorithms=frozenset({"ES256"}), types=frozenset({"at+jwt"}))),
    )
    assert lax.judged(compact()).algorithm == "RS256"
    with pytest.raises(TokenRejected, match="wanted ES256"):
        strict.judged(compact())


def test_one_key_alone_is_judged_apart() -> None:
    signers = Signers(keys(jwk(RSA), jwk(OTHER_RSA)), RULES)
    unnamed = taken_apart(signed(without(HEADER, "kid"), CLAIMS))
    assert len(signers.judged(unnamed).candidates) == 2
    [first, _] = signers.keys.keys
    assert signers.only(first).judged(unnamed).candidates == (first,)


def test_a_signature_is_checked_however_often_its_header_was_seen() -> None:
    signers = Signers(keys(), RULES)
    signed_claims(token(), signers)
    with pytest.raises(TokenRejected) as rejected:
        signed_claims(token(key=OTHER_RSA), signers)
    assert rejected.value.reason is Refusal.BADSIGNATURE


def test_a_flood_of_headers_is_bounded_and_changes_no_judgement() -> None:
    signers = Signers(keys(), RULES)
    mine = signers.judged(compact())
    for number in range(2 * MOST):
        signers.judged(CompactToken("a.b.c", (f"{number:04}", "b", "c"), header=HEADER | {"n": 1}))
    assert len(signers._seen._found) <= MOST
    again = signers.judged(compact())
    assert again is not mine
    assert (again.candidates, again.algorithm) == (mine.candidates, mine.algorithm)


def test_one_that_names_a_certificate_names_its_key() -> None:
    by: KeySet = keys(jwk(RSA, x5t="VGh1bWI"), jwk(OTHER_RSA))
    named: JudgedHeader = Signers(by, RULES).judged(
        taken_apart(signed({**without(HEADER, "kid"), "x5t": "VGh1bWI"}, CLAIMS))
    )
    assert named.names_key
    assert [key.id for key in named.candidates] == [RSA.thumbprint()]
