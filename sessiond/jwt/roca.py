"""RSA keys of a generator whose keys can be factored: CVE-2017-15361, called ROCA.

Nemec and others, "The Return of Coppersmith's Attack" (CCS 2017): its primes, and so the moduli,
are powers of 65537 modulo every small prime. For most of those that is no rarity; for these it is.
"""

_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_POWERS = {prime: frozenset(pow(65537, n, prime) for n in range(prime)) for prime in _PRIMES}


def has_roca_mark(modulus: int) -> bool:
    """Say whether a modulus is of that generator. Of sound ones, one in 200 million is too."""
    return all(modulus % prime in powers for prime, powers in _POWERS.items())
