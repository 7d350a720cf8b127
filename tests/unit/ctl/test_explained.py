"""An explained login as people read it: each check, the roles step by step, the answer."""

import io
from typing import Any

import pytest
from rich.console import Console

from sessiond.ctl.explained import explanation_of, reasons_of

CEILING = {
    "number": 2,
    "name": "gateway*",
    "type": "gateway",
    "users": ["*"],
    "issuers": ["*"],
    "roles": ["reader", "ops"],
    "max_age": 28800.0,
    "acr": ["mfa"],
}
ACCESS: dict[str, Any] = {
    "assigned": {
        "admin": ["claim roles: kdb.admin"],
        "guest": ["default_roles"],
        "reader": ["claim roles: kdb.read", "role source ldap"],
    },
    "protected": ["admin"],
    "granted": {"ops": ["access.grant[1]"]},
    "before_ceiling": ["guest", "ops", "reader"],
    "ceiling": CEILING,
    "cut": ["guest"],
    "roles": ["ops", "reader"],
}
EXPLANATION: dict[str, Any] = {
    "accepted": True,
    "reason": "",
    "checks": [
        {"check": "token", "outcome": "passed", "reason": "", "detail": "a JWT"},
        {"check": "route", "outcome": "passed", "reason": "", "detail": "issuer corp"},
    ],
    "process": {"name": "gateway1", "type": "gateway"},
    "claims": [{"claim": "upn", "used_for": "name"}, {"claim": "roles", "used_for": "roles"}],
    "access": ACCESS,
    "user": "ann@corp.example",
    "roles": ["ops", "reader"],
    "attributes": {"user_department": "fx"},
    "expires_at": "2026-03-02T10:00:00Z",
}


def drawn(*parts: Any, width: int = 80) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_each_step_is_read_from_above_to_below_in_80_columns() -> None:
    assert (
        drawn(*explanation_of(EXPLANATION))
        == """\
token  passed  a JWT
route  passed  issuer corp

claims        upn              name
              roles            roles
given         admin            claim roles: kdb.admin
              guest            default_roles
              reader           claim roles: kdb.read; role source ldap
protected     admin            dropped: an [[access.grant]] alone gives it
granted here  ops              access.grant[1]
ceiling       gateway*         access.process[2]: type gateway; roles reader,
                               ops; acr mfa; max_age 28800 s
cut           guest            by the ceiling
attributes    user_department  fx

would be let in as ann@corp.example with ops, reader until 2026-03-02 10:00:00Z"""
    )


@pytest.mark.parametrize(
    ("process", "ceiling", "said"),
    [
        (None, None, "not applied: explain --process NAME[:TYPE] has it"),
        ({"name": "x", "type": ""}, None, "none: no [[access.process]] is for this process"),
        (
            {"name": "x", "type": ""},
            {**CEILING, "type": "*", "roles": ["*"], "max_age": 0.0, "acr": []},
            "access.process[2]: nothing is limited",
        ),
    ],
)
def test_it_says_where_no_ceiling_was_applied(
    process: dict[str, str] | None, ceiling: dict[str, Any] | None, said: str
) -> None:
    access = {**ACCESS, "ceiling": ceiling, "cut": [], "assigned": {}}
    found = {**EXPLANATION, "process": process, "access": access}
    text = drawn(*explanation_of(found))
    assert said in text
    assert "no role" in text


def test_a_refused_login_ends_with_its_reason() -> None:
    found = {**EXPLANATION, "accepted": False, "reason": "stepup"}
    assert drawn(*explanation_of(found)).endswith("would be refused: stepup")


def test_a_session_shows_why_it_has_each_role_and_what_was_cut() -> None:
    because = {"roles": {"reader": ["claim roles: kdb.read"], "x": ["a"]}, "cut": ["x"]}
    text = drawn(*reasons_of({"because": because}))
    assert text.splitlines() == [
        "because  reader  claim roles: kdb.read",
        "         x       a",
        "cut      x       by the ceiling of the process",
    ]


def test_a_daemon_of_an_older_version_says_no_reasons() -> None:
    assert list(reasons_of({})) == []
