"""The [access] tables: what is read of them, and what is refused because it could never count."""

import re
import tomllib
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from sessiond.config import AccessConfig, GrantConfig, ProcessConfig, load, read
from sessiond.config.access_checks import MAX_PATTERNS, MAX_TABLES
from tests.unit.config.test_config import EXAMPLE
from tests.unit.config.test_issuers import in_toml, issuer, problems

GRANT = '[[access.grant]]\nusers = ["ann"]\nroles = ["admin"]\n'
PROCESS = "[[access.process]]\n"
AS_IN_THE_CONTRACT = """
[access]
protected_roles = ["admin", "superuser"]
[[access.grant]]
users = ["ann@corp.example"]
issuers = ["*"]
roles = ["admin"]
[[access.process]]
name = "gateway*"
type = "*"
peers = ["kdb", "@quants", 500]
users = ["*"]
issuers = ["*"]
roles = ["*"]
max_age = 600
acr = ["phr"]
estate = true
"""


def test_every_table_is_read() -> None:
    access = read(issuer() + AS_IN_THE_CONTRACT).access
    assert access == AccessConfig(
        protected_roles=("admin", "superuser"),
        grant=(GrantConfig(users=("ann@corp.example",), issuers=("*",), roles=("admin",)),),
        process=(
            ProcessConfig(
                name="gateway*",
                peers=("kdb", "@quants", 500),
                max_age=600.0,
                acr=("phr",),
                estate=True,
            ),
        ),
    )


def test_without_the_tables_nothing_is_asked() -> None:
    assert read(issuer()).access == AccessConfig()
    (process,) = read(issuer() + PROCESS).access.process
    assert process == ProcessConfig()


def test_the_example_has_every_key_of_the_repeated_tables_with_its_default() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for name, struct in (("access.grant", GrantConfig), ("access.process", ProcessConfig)):
        start = next(n for n, line in enumerate(lines) if line.startswith(f"# [[{name}]]"))
        block = lines[start + 1 : lines.index("", start)]
        assert [line for line in block if not re.search(r" # \S.{5,}", line)] == []
        table = tomllib.loads("\n".join(line.removeprefix("# ") for line in block))
        fields = msgspec.structs.fields(struct)
        assert list(table) == [field.name for field in fields]
        for field in fields:
            if not field.required:
                default = msgspec.to_builtins(field.default)
                assert msgspec.to_builtins(table[field.name]) in (default, [*_listed(default)])


def _listed(default: object) -> list[object]:
    return list(default) if isinstance(default, tuple) else []


def test_the_digest_is_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(f"# é\r\n{issuer()}".encode())
    assert load(file).digest == sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[access]\ngrant = 5", "access.grant is an integer, must be an array of tables: "),
        ("[access.process]\n", "access.process is a table, must be an array of tables: "),
        ("[access]\nprocess = [1]", "access.process is an array, must be an array of tables: "),
        ('[[access.grant]]\nroles = ["a"]', "access.grant[1].users is missing, must be shell"),
        ('[[access.grant]]\nusers = ["a"]', "access.grant[1].roles is missing, must be the roles"),
        (GRANT + "role = 1", "access.grant[1].role is unknown; did you mean access.grant[1].ro"),
        (PROCESS + "users = [1]", "access.process[1].users[1] is an integer, must be a string"),
        (PROCESS + "max_age = -1.0", "access.process[1].max_age is -1.0, must be between 0 and"),
        (PROCESS + 'estate = "yes"', "access.process[1].estate is a string, must be a boolean"),
        (PROCESS + 'peers = ["a:b"]', "access.process[1].peers[1] is 'a:b', must be a user's"),
        (PROCESS + 'acr = [""]', "access.process[1].acr[1] is '', must be printable ASCII"),
    ],
)
def test_a_wrong_value_is_named_by_its_key(text: str, problem: str) -> None:
    (found,) = problems(f"{issuer()}{text}\n")
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            PROCESS + "estate = true",
            "access.process[1].estate is true without peers: any process could say that name and "
            "be told of everybody, must have beside it the users that these processes run as",
        ),
        (
            '[access]\nprotected_roles = ["a", "[b-a]"]',
            "access.protected_roles[2] matches nothing, must match some",
        ),
        (
            PROCESS + 'name = "[b-a]"',
            "access.process[1].name matches nothing, must match some",
        ),
        (
            PROCESS + 'users = ["*", "[b-a]"]',
            "access.process[1].users[2] matches nothing, must match some",
        ),
        (
            PROCESS + 'issuers = ["CORP", "partner*"]',
            "access.process[1].issuers[2] is 'partner*', which matches no issuer's name, must "
            "match some",
        ),
        (
            GRANT + 'issuers = ["partner"]',
            "access.grant[1].issuers[1] is 'partner', which matches no issuer's name, must "
            "match some",
        ),
        (
            GRANT.replace('["ann"]', "[]"),
            "access.grant[1].users is empty, must name some: a grant is for somebody",
        ),
        (
            GRANT.replace('["admin"]', '["kdb-*"]'),
            "access.grant[1].roles[1] is 'kdb-*', must be a role itself: no pattern",
        ),
        (
            f'{PROCESS}type = "rdb"\n{PROCESS}name = "a*"\n{PROCESS}name = "A*"\ntype = "RDB"',
            "access.process[3] never counts, since access.process[1] matches all of its "
            "processes, must be before it",
        ),
    ],
)
def test_what_could_never_count_is_refused(text: str, found: str) -> None:
    assert problems(f"{issuer()}{text}\n") == [found]


def test_no_issuer_may_give_a_protected_role() -> None:
    text = issuer(default_roles=["all", "ADMIN"]) + '[issuer.roles]\nx = "SuperUser"\ny = "user"\n'
    access = '[access]\nprotected_roles = ["admin", "super*"]\n'
    ends = (
        "which access.protected_roles keeps from every issuer, must be another: "
        "[[access.grant]] alone gives it"
    )
    assert problems(text + access) == [
        f"issuer[corp].roles[x] is 'SuperUser', {ends}",
        f"issuer[corp].default_roles[2] is 'ADMIN', {ends}",
    ]


def test_tables_and_patterns_are_bounded() -> None:
    too_many = in_toml(["a"] * (MAX_PATTERNS + 1))
    text = issuer() + f"{GRANT * (MAX_TABLES + 1)}{PROCESS}peers = {too_many}\nusers = {too_many}\n"
    ends = f"has {MAX_PATTERNS + 1} values, must have at most {MAX_PATTERNS}"
    assert problems(text) == [
        f"access.grant has {MAX_TABLES + 1} tables, must have at most {MAX_TABLES}",
        f"access.process[1].users {ends}",
        f"access.process[1].peers {ends}",
    ]
