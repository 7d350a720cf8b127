"""The table of token stores: what is read of it, and what is refused because it could not work."""

import tomllib

import pytest

from sessiond.config import StoresConfig, read
from sessiond.config.stores_checks import MAX_USERS
from tests.unit.config.test_config import EXAMPLE, problems
from tests.unit.config.test_issuers import issuer


def test_the_table_is_read() -> None:
    text = '[stores]\nusers = ["feeds", "@quants", 1001]\nshared = true\nmax_contexts = 5\n'
    assert read(issuer() + text).stores == StoresConfig(
        users=("feeds", "@quants", 1001), shared=True, max_contexts=5
    )


def test_without_the_table_there_are_no_stores() -> None:
    assert read(issuer()).stores is None


def test_what_is_left_out_is_as_published() -> None:
    stores = read(f'{issuer()}[stores]\nusers = ["feeds"]\n').stores
    assert stores == StoresConfig(users=("feeds",), shared=False, max_contexts=1000)


def test_the_example_has_every_key_with_its_default() -> None:
    lines = EXAMPLE.read_text().splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("# [stores]"))
    text = "\n".join(line.removeprefix("# ") for line in lines[begin : lines.index("", begin)])
    stores = read(f"{issuer()}{text}").stores
    assert stores == StoresConfig(users=("feeds",))
    assert list(tomllib.loads(text)["stores"]) == list(StoresConfig.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "stores.users is empty, must name who may keep tokens here: users or @groups"),
        (
            f"users = {[*range(MAX_USERS + 1)]}",
            f"stores.users has {MAX_USERS + 1} values, must have at most {MAX_USERS}",
        ),
        ("user = [1]", "stores.user is unknown; did you mean stores.users?"),
        (
            "users = [1]\nmax_contexts = 0",
            "stores.max_contexts is 0, must be between 1 and 10000",
        ),
    ],
)
def test_what_could_not_work_is_refused_by_its_key(text: str, told: str) -> None:
    assert problems(f"{issuer()}[stores]\n{text}\n") == [told]


def test_a_table_is_what_it_must_be() -> None:
    assert problems(f"stores = 1\n{issuer()}") == [
        "stores is an integer, must be a table: [stores]"
    ]
