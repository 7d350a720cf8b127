from math import prod

from sessiond.jwt.roca import has_roca_mark
from tests.unit.jwt.forge import OTHER_RSA, RSA

# A key with the mark that nobody here made is in test_wycheproof.py.

SMALL_PRIMES = [n for n in range(2, 168) if all(n % d for d in range(2, n))]


def test_a_modulus_that_is_a_power_of_65537_modulo_each_small_prime_has_the_mark() -> None:
    modulus = prod(SMALL_PRIMES)
    assert has_roca_mark(123456789 * modulus + pow(65537, 987, modulus))


def test_a_modulus_that_is_no_such_power_of_one_prime_alone_is_sound() -> None:
    assert has_roca_mark(1)
    assert not has_roca_mark(1 + prod(prime for prime in SMALL_PRIMES if prime != 11))


def test_sound_keys_do_not_have_the_mark() -> None:
    for key in (RSA, OTHER_RSA):
        assert not has_roca_mark(key.public_key.public_numbers().n)
