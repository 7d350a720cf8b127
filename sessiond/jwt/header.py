"""What the header of a signed token says of how it was signed, and by which key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from joserfc.jws import JWSRegistry

from sessiond.core.compact import CompactToken, Stated, is_canonical
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.printable import any_of, seen
from sessiond.core.seen_headers import SeenHeaders
from sessiond.jwt.keyset import THUMBPRINTS, KeySet, PublicKey, VerificationKey, newer_name

# All that is read of a header, and text where it is there. Other members are ignored, as RFC 7515,
# 4 asks: nothing is fetched from `jku` or `x5u`, and `jwk` and `x5c` bring no key.
HEADER_MEMBERS = ("alg", "kid", "typ", *THUMBPRINTS)
# What would change how the rest is read: RFC 7515, 4.1.11; RFC 7797; and a compression, which JWS
# does not have.
REFUSED_MEMBERS = ("crit", "b64", "zip")
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
MAX_HEADER_SIZE = 16_384  # bytes, encoded; a chain of certificates (`x5c`) has 3,000 to 10,000


class _Registry(JWSRegistry):
    """joserfc's algorithms, with EdDSA as the Ed25519 that it stands for here.

    joserfc warns at each use of the older name, and would let it stand for Ed448 too.
    """

    algorithms = JWSRegistry.algorithms | {"EdDSA": JWSRegistry.algorithms["Ed25519"]}


_REGISTRY = _Registry(algorithms=ALGORITHMS | {"EdDSA"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRules:
    """What one issuer's headers must say."""

    algorithms: frozenset[str]  # by their newer names
    types: frozenset[str]  # as `media_type` writes them; "" = may be absent

    @classmethod
    def of(cls, *, algorithms: frozenset[str], types: frozenset[str]) -> Self:
        """Return the rules that these words of a configuration make.

        Args:
            algorithms: The ones allowed; EdDSA and Ed25519 allow each other.
            types: The `typ` allowed, in any case; "" allows that it is absent.
        """
        return cls(
            algorithms=frozenset(map(newer_name, algorithms)) & ALGORITHMS,
            types=frozenset(map(media_type, types)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedHeader:
    """All that is used of a header in order."""

    algorithm: str
    is_signed: Callable[[bytes, bytes, PublicKey], bool]  # content, signature, key: by it
    kid: str | None
    candidates: tuple[VerificationKey, ...]  # that may have signed what has it; one at least
    names_key: bool  # it names one of them, which must have


class Signers:
    """One issuer's keys by one issuer's rules: which of them may have signed what has a header.

    Other keys, and other rules, are another object: what was judged by one says nothing of them.
    """

    def __init__(self, keys: KeySet, rules: HeaderRules) -> None:
        self.keys = keys
        self._rules = rules
        self._seen = SeenHeaders[JudgedHeader]()

    def only(self, key: VerificationKey) -> "Signers":
        """Return what this one key of them can have signed."""
        return Signers(self.keys.only(key), self._rules)

    def judged(self, token: CompactToken) -> JudgedHeader:
        """Return what the header says, which is judged the first time that it comes.

        Raises:
            TokenRejected: MALFORMED, WRONGTYPE or BADSIGNATURE.
            UnknownKeyError: It names no key that is there; the rest of it is fine.
        """
        judged = self._seen.find(token.header_part)
        if judged is None:
            judged = self._judge(token)
            self._seen.keep(token.header_part, judged)
        return judged

    def _judge(self, token: CompactToken) -> JudgedHeader:
        stated = _texts(_strict_header(token))
        _check_type(stated.get("typ"), self._rules.types)
        algorithm = _checked_algorithm(stated.get("alg"), self._rules.algorithms)
        kid = stated.get("kid")
        thumbprints = [stated[name] for name in THUMBPRINTS if name in stated]
        return JudgedHeader(
            algorithm=algorithm,
            is_signed=_REGISTRY.get_alg(algorithm).verify,
            kid=kid,
            candidates=self.keys.candidates(kid=kid, thumbprints=thumbprints, algorithm=algorithm),
            names_key=bool(self.keys.named(kid=kid, thumbprints=thumbprints)),
        )


def media_type(typ: str) -> str:
    """Return a `typ` as it is compared: lower case, without `application/` (RFC 7515, 4.1.9)."""
    return typ.lower().removeprefix("application/")


def strict(name: str, value: Stated | None) -> Stated:
    """Return what a part holds, where that is a strict JSON object.

    Raises:
        TokenRejected: MALFORMED: it is none.
    """
    if value is None:
        raise malformed(
            f"the {name} is not a strict JSON object, wanted UTF-8, each member once, at most "
            "16 deep, not thousands of values: present the token whole, or mend it at the issuer"
        )
    return value


def malformed(detail: str) -> TokenRejected:
    return TokenRejected(Refusal.MALFORMED, detail)


def _strict_header(token: CompactToken) -> Stated:
    part = token.header_part
    if len(part) > MAX_HEADER_SIZE:
        raise malformed(
            f"the header has {len(part)} bytes, wanted {MAX_HEADER_SIZE} at most: have the issuer "
            "leave x5c out"
        )
    return strict("header", token.stated_header if is_canonical(part) else None)


def _texts(header: Stated) -> dict[str, str]:
    """Return the members that are read, where nothing else in the header forbids it."""
    if "nonce" in header:
        raise TokenRejected(
            Refusal.WRONGTYPE,
            "nonce is in the header, so it is for Microsoft Graph, wanted a token for kdb+, which "
            "others can check too: have the program ask for a scope of its own API",
        )
    for name in REFUSED_MEMBERS:
        if name in header:
            raise malformed(f"{name} is in the header, wanted none: mend it at the issuer")
    texts: dict[str, str] = {}
    for name in HEADER_MEMBERS:
        if name not in header:
            continue
        value = header[name]
        if not isinstance(value, str):
            saw = f"{name} in the header is {seen(value)}"
            raise malformed(f"{saw}, wanted text: mend it at the issuer")
        texts[name] = value
    return texts


def _check_type(typ: str | None, types: frozenset[str]) -> None:
    if (typ is None and "" in types) or (typ and media_type(typ) in types - {""}):
        return
    saw = "missing" if typ is None else seen(typ)
    raise TokenRejected(
        Refusal.WRONGTYPE,
        f"typ in the header is {saw}, wanted {any_of(types)}: present the access token, not the "
        "id_token; if it is one, mend typ",
    )


def _checked_algorithm(stated: str | None, allowed: frozenset[str]) -> str:
    if stated is None or newer_name(stated) not in allowed:
        saw = "missing" if stated is None else seen(stated)
        raise TokenRejected(
            Refusal.BADSIGNATURE,
            f"alg is {saw}, wanted {', '.join(sorted(allowed))}: set it at the issuer, or mend "
            "algorithms",
        )
    return stated
