"""The canary finds a secret wherever sixteen characters of it stand."""

import secrets

from tests import canary


def test_any_sixteen_characters_of_a_secret_are_found() -> None:
    secret = secrets.token_urlsafe(60)
    canary.remember(f"eyJhbGciOiJSUzI1NiJ9.e30.{secret}", "a made-up token")
    for at in range(len(secret) - 15):
        text = f'{{"detail": "{secret[at : at + 16]}"}}'.encode()
        assert canary.found_in(text) == {"a made-up token"}


def test_the_public_parts_of_a_token_are_no_secret() -> None:
    canary.remember(f"eyJhbGciOiJSUzI1NiJ9.e30.{secrets.token_urlsafe(60)}", "another")
    assert canary.found_in(b"eyJhbGciOiJSUzI1NiJ9.e30") == set()
