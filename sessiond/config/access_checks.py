"""What the `[access]` tables must fit: each other, and what the issuers' tables give."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from sessiond.config.access_tables import AccessConfig, GrantConfig, ProcessConfig
from sessiond.config.patterns import overlap
from sessiond.config.tables import IssuerConfig
from sessiond.core.patterns import Patterns
from sessiond.core.principal import folded

MAX_TABLES = 1000  # of a kind: a login looks through them, the first time for each process
MAX_PATTERNS = 1000  # of one list


def problems_of_access(access: AccessConfig, issuers: Sequence[IssuerConfig]) -> Iterator[str]:
    """Find what would never count, and who gives a role that only the operator gives."""
    names = [issuer.name for issuer in issuers]
    yield from _problems_of_patterns({"protected_roles": access.protected_roles}, "access")
    for kind, tables in (("grant", access.grant), ("process", access.process)):
        if len(tables) > MAX_TABLES:
            yield f"access.{kind} has {len(tables)} tables, must have at most {MAX_TABLES}"
    for number, grant in enumerate(access.grant[:MAX_TABLES], start=1):
        yield from _problems_of_grant(grant, f"access.grant[{number}]", names)
    for number, process in enumerate(access.process[:MAX_TABLES], start=1):
        yield from _problems_of_process(process, f"access.process[{number}]", names)
    yield from _problems_of_order(access.process[:MAX_TABLES])
    yield from _problems_of_given(Patterns(access.protected_roles), issuers)


def _problems_of_grant(grant: GrantConfig, where: str, names: Sequence[str]) -> Iterator[str]:
    patterns = {"users": grant.users, "issuers": grant.issuers}
    for key, values in {**patterns, "roles": grant.roles}.items():
        if not values:
            yield f"{where}.{key} is empty, must name some: a grant is for somebody"
    yield from _problems_of_patterns(patterns, where)
    yield from _problems_of_length("roles", grant.roles, where)
    yield from _problems_of_issuers(grant.issuers, where, names)
    for number, role in enumerate(grant.roles, start=1):
        if "*" in role or "?" in role:
            yield f"{where}.roles[{number}] is {role!r}, must be a role itself: no pattern"


def _problems_of_process(process: ProcessConfig, where: str, names: Sequence[str]) -> Iterator[str]:
    for key, pattern in (("name", process.name), ("type", process.type)):
        if _matches_nothing(pattern):
            yield f"{where}.{key} matches nothing, must match some"
    yield from _problems_of_patterns(
        {"users": process.users, "issuers": process.issuers, "roles": process.roles}, where
    )
    for key, values in (("peers", process.peers), ("acr", process.acr)):
        yield from _problems_of_length(key, values, where)
    yield from _problems_of_issuers(process.issuers, where, names)
    if process.estate and not process.peers:
        yield (
            f"{where}.estate is true without peers: any process could say that name and be told of "
            "everybody, must have beside it the users that these processes run as"
        )


def _problems_of_patterns(lists: Mapping[str, Sequence[str]], where: str) -> Iterator[str]:
    for key, patterns in lists.items():
        yield from _problems_of_length(key, patterns, where)
        for number, pattern in enumerate(patterns[:MAX_PATTERNS], start=1):
            if _matches_nothing(pattern):
                yield f"{where}.{key}[{number}] matches nothing, must match some"


def _problems_of_length(key: str, values: Sequence[object], where: str) -> Iterator[str]:
    if len(values) > MAX_PATTERNS:
        yield f"{where}.{key} has {len(values)} values, must have at most {MAX_PATTERNS}"


def _problems_of_issuers(
    patterns: Sequence[str], where: str, names: Sequence[str]
) -> Iterator[str]:
    for number, pattern in enumerate(patterns[:MAX_PATTERNS], start=1):
        if not _matches_nothing(pattern) and not any(map(Patterns((pattern,)).match, names)):
            yield (
                f"{where}.issuers[{number}] is {pattern!r}, which matches no issuer's name, must "
                "match some"
            )


def _problems_of_order(tables: Sequence[ProcessConfig]) -> Iterator[str]:
    """Find tables that never count, because of one before them."""
    first: dict[tuple[str, str], int] = {}
    for number, table in enumerate(tables, start=1):
        name, kind = folded(table.name), folded(table.type)
        wider = [first.get(each) for each in product({name, "*"}, {kind, "*"})]
        before = min((each for each in wider if each is not None), default=None)
        if before is not None:
            yield (
                f"access.process[{number}] never counts, since access.process[{before}] matches "
                "all of its processes, must be before it"
            )
        first.setdefault((name, kind), number)


def _problems_of_given(protected: Patterns, issuers: Sequence[IssuerConfig]) -> Iterator[str]:
    for issuer in issuers:
        given = {f"roles[{value}]": role for value, role in issuer.roles.items()}
        for number, role in enumerate(issuer.default_roles, start=1):
            given[f"default_roles[{number}]"] = role
        for key, role in given.items():
            if protected.match(role):
                yield (
                    f"issuer[{issuer.name}].{key} is {role!r}, which access.protected_roles "
                    "keeps from every issuer, must be another: [[access.grant]] alone gives it"
                )


def _matches_nothing(pattern: str) -> bool:
    return "[" in pattern and not overlap(pattern, "*")  # no other pattern can
