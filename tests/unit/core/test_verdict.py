"""A verdict's roles, and why they are there."""

from dataclasses import replace

from tests.fakes import verdict


def test_a_role_of_which_nothing_is_said_is_the_verifiers_word() -> None:
    assert verdict(roles=("reader",)).assigned == {"reader": ("verifier",)}
    assert verdict(roles=()).assigned == {}


def test_what_says_why_gives_no_role() -> None:
    said = verdict().assigning({"reader": ("claim roles: x",), "admin": ("claim roles: y",)})
    assert said.roles == ("admin", "reader")
    assert said.assigned is said.reasons
    fewer = replace(said, roles=("reader", "ops"))  # as a plugin may
    assert fewer.assigned == {"reader": ("claim roles: x",), "ops": ("verifier",)}
