"""Why keys that an issuer publishes cannot sign tokens, for whoever has to mend that."""

from collections.abc import Mapping, Sequence

from joserfc.util import urlsafe_b64decode

from sessiond.jwt.keyset import MAX_EXPONENT_BITS, MAX_NUMBER, RSA_BITS, verification_key
from sessiond.jwt.roca import has_roca_mark

MAX_NAMED = 5  # keys of one set
MAX_SHOWN = 60  # characters of one value
_CURVES = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519",)}


def why_none_is_usable(jwks: Sequence[Mapping[str, object]]) -> str:
    """Return what is wrong with each key of a set, the first few by name."""
    if not jwks:
        return "the key set is empty, wanted a signature key: see jwks_uri"
    named = [f"{_name(jwk, at)} {why_unusable(jwk)}" for at, jwk in enumerate(jwks[:MAX_NAMED], 1)]
    more = len(jwks) - len(named)
    rest = [f"and {more} more"] if more else []
    return (
        f"the key set has no usable signature key: {'; '.join([*named, *rest])}, wanted one "
        "at least: see jwks_uri"
    )


def why_unusable(jwk: Mapping[str, object]) -> str:
    """Return why `verification_key` takes a JWK for none, in words that follow its name.

    Empty where it takes it.
    """
    if verification_key(jwk) is not None:
        return ""
    kty, operations = jwk.get("kty"), jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig":
        return f"is for use {_shown(jwk['use'])}, not 'sig'"
    if not isinstance(operations, list) or "verify" not in operations:
        return f"has key_ops {_shown(operations)}, without 'verify'"
    if kty == "RSA":
        return _why_rsa(jwk) or _why_members(jwk)
    if kty not in ("EC", "OKP"):
        return f"has kty {_shown(kty)}, not 'RSA', 'EC' or 'OKP'"
    curves = _CURVES[str(kty)]
    if jwk.get("crv") not in curves:
        return f"is on curve {_shown(jwk.get('crv'))}, not {' or '.join(map(repr, curves))}"
    return _why_members(jwk)


def _why_rsa(jwk: Mapping[str, object]) -> str:
    try:
        modulus, exponent = _number(jwk["n"]), _number(jwk["e"])
    except (KeyError, ValueError):
        return "has no readable n and e"
    if modulus.bit_length() not in RSA_BITS:
        wanted = f"{RSA_BITS.start} to {RSA_BITS.stop - 1}"
        return f"is RSA of {modulus.bit_length()} bits, not {wanted}"
    if exponent % 2 != 1 or exponent.bit_length() > MAX_EXPONENT_BITS:
        return f"has an exponent that is even, or of more than {MAX_EXPONENT_BITS} bits"
    if has_roca_mark(modulus):
        return "has ROCA's mark (CVE-2017-15361): anybody can find its private half"
    return ""


def _why_members(jwk: Mapping[str, object]) -> str:
    if "alg" in jwk:
        return f"is broken, or its alg {_shown(jwk['alg'])} does not go with it"
    return "is broken: its members make no sound key"


def _number(value: object) -> int:
    if not isinstance(value, str) or len(value) > MAX_NUMBER:
        raise ValueError("no number")
    plain = value.rstrip("=").replace("+", "-").replace("/", "_")
    return int.from_bytes(urlsafe_b64decode(plain.encode()), "big")


def _name(jwk: Mapping[str, object], at: int) -> str:
    return f"key {_shown(jwk['kid'])}" if "kid" in jwk else f"key {at} (without kid)"


def _shown(value: object) -> str:
    return ascii(value)[:MAX_SHOWN]
