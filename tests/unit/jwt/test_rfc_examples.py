"""The examples that the RFCs print.

Their payloads are often no claims, or their dates long past; that the signature held is then seen
by the reason of the refusal, since the payload is read only after it.
"""

import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.util import urlsafe_b64decode

from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.core.secret import Secret
from sessiond.jwt.access import TokenRules, read_access_token
from sessiond.jwt.header import ALGORITHMS, HeaderRules, Signers
from sessiond.jwt.keyset import KeySet
from sessiond.jwt.signature import signed_claims
from tests.unit.jwt.forge import ED, RSA, b64, jwk, keys, signed

NO_CLAIMS = "malformed: the payload is not a strict JSON object, "
NOT_COMPACT = "malformed: not three base64url parts, "
JOE = {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
# RFC 7515, A.1.1: joe's claims, with its CR, LF and blank.
JOES_PART = (
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)
HS_KEY = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
RS_KEY = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5"
    "rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxX"
    "FvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
}
RS_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5ju"
    "jGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
    "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipU"
    "TI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
EC_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
EC_SIGNATURE = (
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
P521_KEY = {
    "kty": "EC",
    "crv": "P-521",
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
}
ES512_EXAMPLE = (
    "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZ"
    "ZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYb"
    "SW9ERBXukOXolLzeO_Jn"
)
HS256_EXAMPLE = (
    f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOES_PART}."
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
RS256_EXAMPLE = f"eyJhbGciOiJSUzI1NiJ9.{JOES_PART}.{RS_SIGNATURE}"
ES256_EXAMPLE = f"eyJhbGciOiJFUzI1NiJ9.{JOES_PART}.{EC_SIGNATURE}"
NONE_EXAMPLE = f"eyJhbGciOiJub25lIn0.{JOES_PART}."

COOKBOOK = Path(__file__).parents[2] / "vectors" / "wycheproof" / "json_web_signature_test.json"


def signers(by: KeySet, *types: str) -> Signers:
    return Signers(by, HeaderRules.of(algorithms=ALGORITHMS, types=frozenset(types)))


def refused(text: str, *jwks: dict[str, Any]) -> str:
    """Return the reason and its words."""
    with pytest.raises(TokenRejected) as rejected:
        signed_claims(Secret(text), signers(keys(*jwks), "", "jwt"))
    return str(rejected.value)


def is_authentic(text: str) -> bool:
    """Say whether an example's MAC is by RFC 7515's key, so that it was copied without a slip."""
    content, _, mac = text.rpartition(".")
    expected = hmac.digest(urlsafe_b64decode(HS_KEY.encode()), content.encode(), "sha256")
    return b64(expected) == mac


# RFC 7515, appendix A


def test_7515_a1_hs256_is_refused_and_its_key_too() -> None:
    assert is_authentic(HS256_EXAMPLE)
    ours = refused(HS256_EXAMPLE, jwk(RSA))
    assert ours.startswith('badsignature: alg is "HS256", wanted ')
    with pytest.raises(IssuerUnavailable, match="secret"):
        keys({"kty": "oct", "k": HS_KEY})


@pytest.mark.parametrize(
    ("text", "key"), [(RS256_EXAMPLE, RS_KEY), (ES256_EXAMPLE, EC_KEY)], ids=["A.2", "A.3"]
)
def test_7515_a2_and_a3_give_joes_claims(text: str, key: dict[str, Any]) -> None:
    read = signed_claims(Secret(text), signers(keys(key), ""))
    assert read.claims == JOE


def test_7515_a4_es512_holds_and_has_no_claims() -> None:
    assert refused(ES512_EXAMPLE, P521_KEY).startswith(NO_CLAIMS)


def test_7515_a5_unsecured_is_refused() -> None:
    assert refused(NONE_EXAMPLE, jwk(RSA)).startswith(NOT_COMPACT)


@pytest.mark.parametrize("general", [True, False], ids=["A.6", "A.7"])
def test_7515_a6_and_a7_json_serializations_are_refused(general: bool) -> None:
    one = {
        "header": {"kid": "e9bc097a-ce51-4036-9562-d2ade882db0d"},
        "protected": "eyJhbGciOiJFUzI1NiJ9",
        "signature": EC_SIGNATURE,
    }
    whole = {"payload": JOES_PART, **({"signatures": [one]} if general else one)}
    assert refused(json.dumps(whole), EC_KEY).startswith(NOT_COMPACT)


# RFC 7519


def test_7519_3_1_with_its_mac_is_refused() -> None:
    # The text of section 3.1 is the one of RFC 7515, A.1.
    assert refused(HS256_EXAMPLE, jwk(RSA)).startswith("badsignature")


def test_7519_6_1_unsecured_is_refused_even_with_something_for_a_signature() -> None:
    # The text of section 6.1 is the one of RFC 7515, A.5.
    ours = refused(NONE_EXAMPLE + "AA", jwk(RSA))
    assert ours.startswith('badsignature: alg is "none", wanted ')


# RFC 7520, section 4. Wycheproof has the texts; its keys have an `alg` that the RFC's have not.


def cookbook(figure: str) -> tuple[str, dict[str, Any]]:
    """Return the compact serialization and the key."""
    content = json.loads(COOKBOOK.read_text(encoding="utf-8"))
    for group in content["testGroups"]:
        for test in group["tests"]:
            if group["comment"] == "rfc7520" and test["comment"] == figure:
                key = group.get("public", group["private"])
                return test["jws"], {name: key[name] for name in key if name != "alg"}
    raise LookupError(figure)


@pytest.mark.parametrize("figure", ["Figure13", "Figure20", "Figure27"])
def test_7520_4_1_to_4_3_hold_and_have_no_claims(figure: str) -> None:
    text, key = cookbook(figure)
    assert refused(text, key).startswith(NO_CLAIMS)
    assert refused(text[:-6] + "AAAAAA", key).startswith("badsignature")


def test_7520_4_4_a_mac_is_refused() -> None:
    text, key = cookbook("Figure35")
    assert refused(text, jwk(RSA, kid=key["kid"])).startswith("badsignature")
    with pytest.raises(IssuerUnavailable, match="secret"):
        keys(key)


def test_7520_4_5_a_detached_payload_is_refused() -> None:
    text, key = cookbook("Figure13")
    header, _, signature = text.split(".")
    assert refused(f"{header}..{signature}", key).startswith(NOT_COMPACT)


# RFC 7797: `b64`

UNENCODED = "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19"
UNENCODED_MAC = "A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY"


def test_7797_4_2_an_unencoded_payload_is_refused() -> None:
    assert is_authentic(f"{UNENCODED}.$.02.{UNENCODED_MAC}")
    for payload in ("", "$.02", b64("$.02")):
        assert refused(f"{UNENCODED}.{payload}.{UNENCODED_MAC}", jwk(RSA)).startswith("malformed")


def test_7797_an_unencoded_payload_is_refused_though_its_signature_holds() -> None:
    header = b64(json.dumps({"alg": "Ed25519", "b64": False, "crit": ["b64"]}))
    payload = b64(json.dumps(JOE))  # base64url is a legal unencoded payload too
    model: Any = jws.JWSRegistry(algorithms=["Ed25519"]).get_alg("Ed25519")
    signature = model.sign(f"{header}.{payload}".encode(), ED)
    said = refused(f"{header}.{payload}.{b64(signature)}", jwk(ED))
    assert said.startswith("malformed: crit is in the header, ")


# RFC 8037, A.4 is in test_signature.py: test_the_edwards_example_of_rfc_8037_holds


def test_8037_a3_the_thumbprint_is_what_a_key_without_kid_goes_by() -> None:
    public = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert KeySet.parse({"keys": [public]}).holds("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")


# RFC 9068, section 3: the header and the claims of its example; the signature is ours.


def test_9068_3_the_example_is_an_access_token() -> None:
    header = {"typ": "at+JWT", "alg": "RS256", "kid": "RjEwOwOA"}
    claims: dict[str, object] = {
        "iss": "https://authorization-server.example.com/",
        "sub": "5ba552d67",
        "aud": "https://rs.example.com/",
        "exp": 1639528912,
        "iat": 1618354090,
        "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
        "client_id": "s6BhdRkqt3",
        "scope": "openid profile reademail",
    }
    rules = TokenRules(
        issuers=frozenset({"https://authorization-server.example.com/"}),
        audience=frozenset({"https://rs.example.com/"}),
        algorithms=frozenset({"RS256"}),
        types=frozenset({"at+jwt"}),
        required_scope="reademail",
    )
    read = read_access_token(
        signed(header, claims),
        rules.signers(keys(jwk(RSA, kid="RjEwOwOA"))),
        rules,
        now=datetime(2021, 4, 14, tzinfo=UTC),
    )
    assert read.claims == claims


def test_9068_4_an_encrypted_token_is_refused() -> None:
    # Five parts, as RFC 7516, A.1, cut short. No configuration here asks for that.
    header = b64('{"alg":"RSA-OAEP","enc":"A256GCM"}')
    ours = refused(f"{header}.OKOawDo13g.48V1_ALb6US04U3b.5eym8TW_c8.XFBoMYUZod", jwk(RSA))
    assert ours.startswith("malformed: an encrypted token (JWE), wanted a signed one")
