"""`sessiond init` from its command line to the files that it leaves."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sessiond import config as configuration
from sessiond.cli import main
from sessiond.testing import FakeIssuer
from tests.unit.init.answered import API, image

TENANT = "11111111-1111-1111-1111-111111111111"
PROGRAM = "33333333-3333-3333-3333-333333333333"
ENTRA = ("--entra", TENANT, "--api", API, "--program", PROGRAM, "--offline")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with image(tmp_path) as root:
        yield root


def init(root: Path, *more: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["init", "--root", str(root), *more], input=typed)


def files(root: Path) -> set[str]:
    return {
        str(each.relative_to(root))
        for each in root.rglob("*")
        if each.is_file() and each.name not in ("passwd", "group")
    }


def test_a_tenant_an_api_and_a_program_are_enough(root: Path) -> None:
    done = init(root, *ENTRA, "--yes")
    assert done.exit_code == os.EX_OK, done.output
    (issuer,) = configuration.load(root / "etc/sessiond/config.toml").issuers
    assert (issuer.kind, issuer.audience) == ("entra", (API,))
    assert issuer.refresh_scope == f"api://{API}/session.login"
    assert {
        "etc/sessiond/proof",
        "etc/systemd/system/sessiond.service",
        "usr/share/sessiond/torq/sessiond.q",
    } <= files(root)
    for said in ("config.toml: ok", "requestedAccessTokenVersion", "systemd-sysusers", "\\l /usr"):
        assert said in done.stdout


def test_the_key_is_never_shown(root: Path) -> None:
    done = init(root, *ENTRA, "--yes")
    assert (root / "etc/sessiond/proof").read_text().strip() not in done.output


def test_a_dry_run_shows_the_file_and_writes_nothing(root: Path) -> None:
    done = init(root, *ENTRA, "--yes", "--dry-run")
    assert done.exit_code == os.EX_OK
    assert files(root) == set()
    shown = done.stdout.partition("mode 0644:\n")[2].partition("\n# /")[0]
    assert f"# {root}/etc/sessiond/proof: a new key, for sessiond:quants, 0640" in done.stdout
    assert tomllib.loads(shown.partition(f"\n# {root}")[0])["issuer"][0]["name"] == "entra"
    assert done.stdout.splitlines()[-1] == "# Nothing was written: leave out --dry-run."


def test_what_is_there_is_never_overwritten_unasked(root: Path) -> None:
    assert init(root, *ENTRA, "--yes").exit_code == os.EX_OK
    proof = (root / "etc/sessiond/proof").read_text()
    again = init(root, *ENTRA, "--yes")
    assert again.exit_code == os.EX_CANTCREAT == 73
    assert "is there already" in again.stderr
    forced = init(root, *ENTRA, "--yes", "--force", "--name", "other")
    assert forced.exit_code == os.EX_OK
    assert "proof: is there, and kept" in forced.stdout
    assert (root / "etc/sessiond/proof").read_text() == proof
    assert 'name = "entra"' in (root / "etc/sessiond/config.toml.old").read_text()


def test_a_living_issuer_is_looked_up_and_every_question_may_be_answered(root: Path) -> None:
    with FakeIssuer().serve() as url:
        done = init(root, "--insecure-http", typed=f"{url}/\napi://kdb\nqstudio\n\nkdb\n-\ny\n")
    assert done.exit_code == os.EX_OK, done.output
    (issuer,) = configuration.load(root / "etc/sessiond/config.toml").issuers
    assert (issuer.issuer, issuer.verify, issuer.roles) == (url, "jwt", {})
    assert "its own spelling counts" in done.stdout


def test_who_does_not_want_it_has_nothing_written(root: Path) -> None:
    done = init(root, *ENTRA, typed="\nkdb\n-\nn\n")
    assert done.exit_code == 130
    assert files(root) == set()


def test_a_packages_units_are_left_to_it(root: Path) -> None:
    unit = root / "lib/systemd/system/sessiond.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    done = init(root, *ENTRA, "--yes")
    assert not any(each.startswith("etc/systemd") for each in files(root))
    assert "sysusers" not in done.stdout
    assert "systemctl start sessiond.service" in done.stdout


def test_an_issuer_that_is_away_ends_with_69_and_what_to_do(root: Path) -> None:
    done = init(root, "--issuer", "http://127.0.0.1:1", "--insecure-http", "--yes")
    assert done.exit_code == os.EX_UNAVAILABLE == 69
    assert "try: curl -v" in done.stderr
    assert files(root) == set()


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (("--issuer", "https://example.okta.com"), 78, "oauth2/default"),
        (("--entra", "common", "--api", API, "--offline"), 78, "must name a single one"),
        (("--issuer", "a", "--offline", "--config", "etc/x"), 64, "--config must be an absolute"),
        (("--offline",), 64, "--issuer is needed"),
    ],
)
def test_what_cannot_start_is_not_written(
    root: Path, options: tuple[str, ...], code: int, why: str
) -> None:
    done = init(root, *options, "--yes")
    assert (done.exit_code, why in done.stderr) == (code, True), done.output
    assert files(root) == set()


@pytest.mark.parametrize(
    ("verify", "member"), [("jwt", "jwks_uri"), ("introspection", "introspection_endpoint")]
)
def test_a_way_that_the_issuer_does_not_have_is_refused(
    root: Path, verify: str, member: str
) -> None:
    issuer = FakeIssuer()
    issuer.publish(**{member: None})
    with issuer.serve() as url:
        done = init(root, "--issuer", url, "--insecure-http", "--verify", verify, "--yes")
    assert done.exit_code == os.EX_CONFIG
    assert "publishes nothing for that" in done.stderr


def test_userinfo_needs_no_document_but_the_metadata(root: Path) -> None:
    with FakeIssuer().serve() as url:
        done = init(root, "--issuer", url, "--insecure-http", "--verify", "userinfo", "--yes")
    assert done.exit_code == os.EX_OK
