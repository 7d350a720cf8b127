"""Every question is an option too; who asks nothing gets defaults, or is told what is missing."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sessiond.core.errors import ConfigError
from sessiond.init.answers import Answers, Given
from sessiond.init.metadata import Metadata
from sessiond.init.questions import answers_of, asked, issuer_of
from sessiond.init.vendors import ENTRA, KEYCLOAK, OTHER, Vendor
from tests.unit.init.answered import API, given, image

ISSUER = "https://login.example.com/"


def answered(
    root: Path,
    *,
    vendor: Vendor = OTHER,
    typed: str = "",
    learned: Metadata | None = None,
    **options: Any,
) -> Answers:
    """Answer the questions in their order, an empty line for a default."""
    found: list[Answers] = []

    @click.command()
    def ask() -> None:
        found.append(answers_of(given(root, **options), vendor, ISSUER, learned))

    result = CliRunner().invoke(ask, input=typed, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]


def test_with_yes_all_that_has_a_default_is_that(tmp_path: Path) -> None:
    with image(tmp_path) as root:
        found = answered(root, vendor=KEYCLOAK, yes=True)
    assert (found.name, found.verify, found.audience) == ("keycloak", "jwt", ("api://kdb",))
    assert (found.program, found.scope, found.client_id) == ("", "", "sessiond")
    assert dict(found.roles) == {"kdb-read": "reader"}
    assert (found.q_user, found.q_group) == ("kdb", "quants")


def test_what_is_typed_counts_and_an_empty_line_is_the_default(tmp_path: Path) -> None:
    with image(tmp_path) as root:
        found = answered(
            root, vendor=ENTRA, typed=f"{API}\nprogram\n\n\nkdb.read=reader, kdb.admin=admin\n"
        )
    assert found.audience == (API,)
    assert (found.program, found.scope) == ("program", "session.login")
    assert found.full_scope == f"api://{API}/session.login"
    assert dict(found.roles) == {"kdb.read": "reader", "kdb.admin": "admin"}


def test_an_application_id_uri_of_entra_is_the_scopes_beginning(tmp_path: Path) -> None:
    with image(tmp_path) as root:
        found = answered(root, vendor=ENTRA, yes=True, audience=("api://kdb",))
    assert found.full_scope == "api://kdb/session.login"


def test_options_are_not_asked_about(tmp_path: Path) -> None:
    with image(tmp_path) as root:
        found = answered(
            root,
            audience=("a", "b"),
            program="p",
            scope="s",
            role=("-",),
            q_user="root",
            q_group="quants",
            name="n",
            verify="introspection",
            client_id="c",
        )
    assert (found.audience, found.program, found.scope) == (("a", "b"), "p", "s")
    assert (dict(found.roles), found.q_user, found.q_group) == ({}, "root", "quants")
    assert (found.name, found.verify, found.client_id) == ("n", "introspection", "c")
    assert found.secret == "/etc/sessiond/n.secret"


def test_the_way_of_verifying_is_what_the_issuer_allows(tmp_path: Path) -> None:
    learned = Metadata(ISSUER, {"introspection_endpoint": "https://i"})
    with image(tmp_path) as root:
        assert answered(root, yes=True, learned=learned).verify == "introspection"


def test_a_user_of_q_that_is_not_there_is_said(tmp_path: Path) -> None:
    with image(tmp_path) as root, pytest.raises(ConfigError, match=r"no user nobody.*--q-user"):
        answered(root, yes=True, q_user="nobody")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"vendor": ENTRA, "yes": True}, "--audience is needed"),
        ({"vendor": ENTRA, "yes": True, "audience": (API,), "scope": ""}, "--scope: Entra's"),
        ({"yes": True, "role": ("kdb.read",)}, "must be VALUE=ROLE"),
        ({"yes": True, "role": ("kdb.read= ",)}, "must be VALUE=ROLE"),
    ],
)
def test_what_is_missing_or_wrong_is_named_by_its_option(
    tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    with image(tmp_path) as root, pytest.raises(click.UsageError, match=why):
        answered(root, **options)


def test_where_nobody_answers_the_option_is_named(tmp_path: Path) -> None:
    with image(tmp_path) as root, pytest.raises(click.UsageError, match=r"nobody to ask.*--audi"):
        answered(root, typed="")


def test_at_a_terminal_an_interrupt_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> str:
        raise click.Abort

    monkeypatch.setattr(click, "prompt", interrupted)
    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(click.Abort):
        asked(given(), "Issuer", option="--issuer")


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("options", "issuer"),
    [
        ({"issuer": "login.example.com"}, "https://login.example.com"),
        ({"entra": " Contoso.com"}, "https://login.microsoftonline.com/contoso.com/v2.0"),
        ({"entra": "https://login.example.us/t/v2.0"}, "https://login.example.us/t/v2.0"),
    ],
)
def test_the_issuer_is_given_one_way_or_the_other(options: dict[str, Any], issuer: str) -> None:
    assert issuer_of(given(**options)) == issuer
    both = Given(root=Path("/"), config=Path("/c"), issuer="a", entra="b")
    with pytest.raises(click.UsageError, match="give one"):
        issuer_of(both)
