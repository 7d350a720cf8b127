"""`sessionctl client-profile`: whose profiles it writes, where, and what it says beside them."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sessiond_login.profile import Profile
from sessiond_login.profiles.reading import read

from sessiond.ctl import client_profile, commands

ROOT = Path(__file__).parents[3]
LISTEN = """
[listen]
proof_key_file = "/canary/proof"
[store]
key_file = "/canary/store"
"""
CORP = """
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
client_secret_file = "/canary/own"
refresh_client_id = "qstudio"
users = ["a*"]
"""
OTHER = CORP.replace("corp", "other").replace("login", "sso").replace("a*", "b*")
PLUGIN = """
[[issuer]]
name = "own"
issuer = "urn:own"
verify = "plugin"
plugin = "paseto"
users = ["c*"]
"""

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.fixture
def run(file: Path) -> Run:
    def invoke(*args: str, config: str = LISTEN + CORP, before: tuple[str, ...] = ()) -> Result:
        file.write_text(config)
        target = before or ("--config", str(file))
        line = [*target, "client-profile", *args]
        return CliRunner().invoke(commands.main, line, prog_name="sessionctl")

    return invoke


def profiles(text: str) -> dict[str, Profile]:
    """Return the whole file as sessiond-login reads it."""
    return read(text, "it").profiles


def test_the_profile_goes_to_standard_output_and_nothing_of_the_daemons_own_with_it(
    run: Run,
) -> None:
    done = run()
    assert done.exit_code == os.EX_OK, done.output
    assert profiles(done.stdout) == {
        "corp": Profile(issuer="https://login.example.com/", client_id="qstudio")
    }
    assert "canary" not in done.output
    assert done.stderr == ""


def test_every_issuer_has_a_table_and_one_that_can_have_none_is_said(run: Run) -> None:
    done = run(config=CORP + OTHER + PLUGIN)
    assert done.exit_code == os.EX_OK
    assert list(profiles(done.stdout)) == ["corp", "other"]
    assert "left out: issuer[own] is verified by a plugin" in done.stderr


def test_what_the_guide_shows_is_what_is_printed(run: Run) -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    shown = guide.partition("# cat login.toml\n")[2].partition("```")[0]
    tables = (ROOT / "docs/issuers.md").read_text().partition("### Microsoft Entra ID\n")[2]
    assert run(config=tables.partition("```toml\n")[2].partition("```")[0]).stdout == shown


def test_one_alone_is_named(run: Run) -> None:
    done = run("--issuer", "other", "--name", "desk", config=CORP + OTHER)
    assert list(profiles(done.stdout)) == ["desk"]
    assert profiles(done.stdout)["desk"].issuer == "https://sso.example.com/"


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        (("--issuer", "crop"), os.EX_NOINPUT, "there is no issuer crop; there are: corp, other"),
        (("--issuer", "own"), os.EX_CONFIG, "issuer[own] is verified by a plugin"),
        (("--name", "desk"), os.EX_USAGE, "need --issuer, one of: corp, other, own"),
        (("--scope", "kdb"), os.EX_USAGE, "need --issuer"),
        (("--resource", "api://kdb"), os.EX_USAGE, "need --issuer"),
        (("--name", "a]\nb"), os.EX_USAGE, "letters, digits, dots"),
        (
            ("--issuer", "corp", "--scope", "openid \x85"),
            os.EX_USAGE,
            "--scope openid \\x85: wanted",
        ),
        (("--issuer", "corp", "--resource", "a\nb"), os.EX_USAGE, "printable ASCII"),
        (("--issuer", "corp", "--scope", "kdb"), os.EX_CONFIG, "wanted that among --scope"),
        (("--issuer", "corp", "--scope", ""), os.EX_CONFIG, "not to be asked for openid"),
        (("--send", "refresh"), os.EX_USAGE, "pair"),
        (("--flow", "magic"), os.EX_USAGE, "device"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    run: Run, args: tuple[str, ...], code: int, why: str
) -> None:
    done = run(*args, config=CORP + OTHER + PLUGIN)
    assert (done.exit_code, done.stdout) == (code, "")
    assert why in done.stderr


def test_names_that_sessiond_login_cannot_tell_apart_are_no_file_together(run: Run) -> None:
    both = CORP + OTHER.replace('"other"', '"Corp"')
    done = run(config=both)
    assert (done.exit_code, done.stdout) == (os.EX_CONFIG, "")
    assert "issuer[corp] and issuer[Corp] differ in case alone" in done.stderr
    assert list(profiles(run("--issuer", "Corp", config=both).stdout)) == ["Corp"]


def test_more_than_sessiond_login_takes_are_no_file_together(run: Run) -> None:
    names = [f"issuer{number}" for number in range(client_profile.MAX_PROFILES + 1)]
    many = [
        CORP.replace("corp", each).replace("login.", f"{each}.").replace("a*", each)
        for each in names
    ]
    done = run(config="".join(many))
    assert (done.exit_code, done.stdout) == (os.EX_CONFIG, "")
    assert "name one with --issuer" in done.stderr
    assert list(profiles(run(config="".join(many[:-1])).stdout)) == names[:-1]


def test_it_is_utf_8_where_the_terminal_is_not(file: Path) -> None:
    file.write_text(CORP + 'ca_file = "/etc/\u00e9\u2192\\u009b"\n', encoding="utf-8")
    printed = CliRunner(charset="latin-1").invoke(
        commands.main, ["client-profile", "--config", str(file)], prog_name="sessionctl"
    )
    assert printed.exit_code == os.EX_OK
    assert '\n# ca_file = "/etc/\u00e9\u2192\\U0000009b"\n' in printed.stdout_bytes.decode()


def test_options_are_written(run: Run) -> None:
    done = run("--send", "access", "--flow", "device", "--resource", "urn:r", "--scope", "openid x")
    assert profiles(done.stdout)["corp"] == Profile(
        issuer="https://login.example.com/",
        client_id="qstudio",
        send="access",
        flow="device",
        resource="urn:r",
        scopes=("openid", "x"),
    )


def test_what_is_to_be_copied_is_said_beside_the_profile(run: Run) -> None:
    done = run(config=CORP + 'ca_file = "/etc/ca.pem"\n')
    assert "copy /etc/ca.pem to people's machines" in done.stderr
    assert profiles(done.stdout)["corp"].ca_file == ""


def test_a_file_is_written_whole_for_everybody_to_read(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "login.toml"
    place.write_text("what was there")
    place.chmod(0o600)
    umask = os.umask(0o077)
    try:
        done = run("-o", str(place))
    finally:
        os.umask(umask)
    assert (done.exit_code, done.output) == (os.EX_OK, "")
    assert place.read_text() == run().stdout
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.toml", "login.toml"]


def test_a_file_that_cannot_be_written_is_said_and_what_was_there_stays(
    run: Run, tmp_path: Path
) -> None:
    done = run("-o", str(tmp_path / "none/login.toml"))
    assert done.exit_code == os.EX_CANTCREAT
    assert "wanted the profile there" in done.stderr


def test_neither_the_configuration_nor_a_link_nor_a_device_gives_way(
    run: Run, file: Path, tmp_path: Path
) -> None:
    done = run("-o", str(file))
    assert done.exit_code == os.EX_USAGE
    assert "is sessiond's own configuration" in done.stderr
    assert file.read_text() == LISTEN + CORP
    link = tmp_path / "login.toml"
    link.symlink_to(tmp_path / "elsewhere")
    for place in (link, Path("/dev/null")):
        done = run("-o", str(place))
        assert done.exit_code == os.EX_USAGE
        assert "is no plain file" in done.stderr
    assert link.is_symlink()
    assert Path("/dev/null").is_char_device()


def test_the_configuration_is_named_after_the_command_too_or_is_the_default_one(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = run().stdout
    assert run("--config", str(file), before=("--config", "/not/there")).stdout == wanted
    monkeypatch.setattr(client_profile, "DEFAULT", file)
    assert run(before=("--control", "/not/asked")).stdout == wanted
    twice = run("--config", str(file), before=("--control", "/not/asked"))
    assert twice.exit_code == os.EX_USAGE
    assert "name the same thing: give one" in twice.stderr


def test_a_wrong_configuration_is_told_as_ever(run: Run) -> None:
    done = run(config=CORP + 'rotaton = "strict"\n')
    assert done.exit_code == os.EX_CONFIG
    assert "did you mean issuer[corp].rotation?" in done.stderr
