"""The command line: what it prints where, and how it ends. No issuer is there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from login_fakes import kept, profile
from login_program import PROGRAM, Home
from ptys import OnTerminal
from sessiond_login import __version__
from sessiond_login.kept import Kept
from sessiond_login.profiles.reading import made_for
from sessiond_login.secret import Secret

LATER = 4_000_000_000.0
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
NOBODY = "https://login.test"  # not asked in these tests; .test is nobody's


def good(**members: object) -> Kept:
    usual: dict[str, object] = {
        "made_for": made_for(profile(issuer=NOBODY)),
        "access": Secret(JWT),
        "refresh": Secret("a-refresh-token"),
        "expires": LATER,
        "send": "pair",
    }
    return kept(**{**usual, **members})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.profile(issuer=NOBODY, client_id="qstudio")
    return home


def test_token_prints_the_password_and_nothing_else(home: Home) -> None:
    home.keep(good())
    done = home.run("token")
    assert (done.returncode, done.stdout) == (0, f"{JWT};a-refresh-token\n")
    assert done.stderr == ""


def test_token_as_json_has_exactly_the_members_that_clients_read(home: Home) -> None:
    home.keep(good(expires=LATER + 0.9))
    assert json.loads(home.run("token", "--json").stdout) == {
        "user": "alice",
        "token": JWT,
        "refresh": "a-refresh-token",
        "password": f"{JWT};a-refresh-token",
        "expires": int(LATER),
    }


def test_who_sends_access_tokens_alone_sends_no_refresh_token(home: Home) -> None:
    home.profile("alone", issuer=NOBODY, client_id="qstudio", send="access")
    home.keep(good(), "alone")
    members = json.loads(home.run("token", "--json", "--profile", "alone").stdout)
    assert (members["refresh"], members["password"]) == ("", JWT)


def test_a_profile_may_be_named_before_the_command(home: Home) -> None:
    home.profile("other", issuer=NOBODY, client_id="qstudio", send="access")
    home.keep(good(), "other")
    assert home.run("--profile", "other", "token").stdout == f"{JWT}\n"


def test_a_token_that_is_kept_is_given_without_what_speaks_to_issuers(home: Home) -> None:
    home.keep(good())
    script = (
        "import sys\nfrom sessiond_login.cli import main\n"
        "try: main(['token'])\nexcept SystemExit: pass\n"
        "heavy = {'authlib', 'msal', 'httpx', 'joserfc', 'cryptography', 'rich', 'keyring'}\n"
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=home.environment, capture_output=True, text=True
    )
    assert done.stdout.startswith(JWT)
    assert done.stderr == "set()\n"


def test_a_token_is_not_printed_on_a_terminal(home: Home) -> None:
    home.keep(good())
    with OnTerminal([*PROGRAM, "token"], environment=home.environment) as program:
        assert program.ended() == 64
        assert "pipe it into what uses it, or say --show" in program.said
        assert JWT not in program.said
    record = json.loads(next(home.folder.rglob("tokens-work.json")).read_text())
    assert not record["handed_over"]


def test_a_token_is_printed_on_a_terminal_by_who_says_so(home: Home) -> None:
    home.keep(good())
    with OnTerminal([*PROGRAM, "token", "--show"], environment=home.environment) as program:
        assert program.ended() == 0
        assert JWT in program.said


def test_from_a_terminal_a_token_goes_into_a_pipe(home: Home) -> None:
    home.keep(good())
    reading, writing = os.pipe()
    with OnTerminal([*PROGRAM, "token"], environment=home.environment, stdout=writing) as program:
        os.close(writing)
        assert program.ended() == 0
        assert program.said == ""
    with os.fdopen(reading) as pipe:
        assert pipe.read() == f"{JWT};a-refresh-token\n"


def test_a_pair_counts_as_handed_over_before_anybody_can_read_it(home: Home) -> None:
    home.keep(good())
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, "token"], env=home.environment, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
    record = json.loads(next(home.folder.rglob("tokens-work.json")).read_text())
    assert record["handed_over"]


def test_what_is_typed_wrong_ends_with_64_though_nobody_can_be_told(home: Home) -> None:
    for closed in ("2>&-", "2>/dev/full"):
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *PROGRAM, "nonsense"]
        done = subprocess.run(command, env=home.environment, stdout=subprocess.PIPE, timeout=60)
        assert (done.returncode, done.stdout) == (64, b"")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--frobnicate"], "No such option"),
        (["frobnicate"], "No such command"),
        (["token", "extra"], "unexpected extra argument"),
        (["--again", "token"], "--again signs in"),
        (["--profile"], "requires an argument"),
    ],
)
def test_what_is_typed_wrong_is_told_with_64(home: Home, args: list[str], said: str) -> None:
    done = home.run(*args)
    assert (done.returncode, done.stdout) == (64, "")
    assert said in done.stderr


@pytest.mark.parametrize("args", [["token"], ["token", "--json"], [], ["status"], ["logout"]])
def test_without_a_profile_it_is_said_where_one_comes_from(tmp_path: Path, args: list[str]) -> None:
    done = Home(tmp_path).run(*args)
    assert (done.returncode, done.stdout) == (78, "")
    assert "sessionctl client-profile" in done.stderr


def test_a_profile_that_is_not_there_is_told_with_those_that_are(home: Home) -> None:
    done = home.run("token", "--profile", "wrok")
    assert done.returncode == 78
    assert "work" in done.stderr


@pytest.mark.parametrize("args", [["token"], []])
def test_where_nobody_can_be_asked_the_program_ends_at_once_with_77(
    home: Home, args: list[str]
) -> None:
    done = home.run(*args)
    assert (done.returncode, done.stdout) == (77, "")
    assert "no display and no terminal" in done.stderr


def test_status_shows_no_token(home: Home) -> None:
    home.keep(good())
    done = home.run("status")
    assert done.returncode == 0
    assert "as alice" in done.stdout
    assert "tokens-work.json" in done.stdout
    assert JWT not in done.stdout
    (members,) = json.loads(home.run("status", "--json").stdout)
    assert (members["profile"], members["user"], members["good"]) == ("work", "alice", True)
    assert members["password_length"] == len(JWT) + 16


def test_status_of_what_another_client_signed_in_for_is_signed_out(home: Home) -> None:
    home.keep(good(made_for="another"))
    assert "signed in   no" in home.run("status").stdout


def test_logging_out_without_a_sign_in_is_fine(home: Home) -> None:
    done = home.run("logout")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nobody was signed in" in done.stderr


def test_help_and_version_are_what_was_asked_for(home: Home) -> None:
    assert home.run("--version").stdout == f"sessiond-login {__version__}\n"
    helped = home.run("-h")
    assert helped.returncode == 0
    for command in ("token", "status", "logout", "profiles"):
        assert command in helped.stdout
    assert home.run("token", "--help").returncode == 0


def test_a_fault_of_the_program_shows_no_token_and_no_traceback(home: Home) -> None:
    script = (
        "from sessiond_login import cli, composition\n"
        f"def broken(*a, **k): raise KeyError({JWT!r})\n"
        "composition.tokens_of = broken\ncli.main(['token'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=home.environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "a fault of this program: KeyError at" in done.stderr
    assert JWT not in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_it_with_130_and_few_words(home: Home) -> None:
    script = (
        "from sessiond_login import cli, composition\nimport threading\n"
        "def waits(*a, **k): print('waits', flush=True); threading.Event().wait()\n"
        "composition.tokens_of = waits\ncli.main([])"
    )
    with OnTerminal([sys.executable, "-c", script], environment=home.environment) as program:
        program.wait_for("waits")
        program.signal(signal.SIGINT)
        assert program.ended() == 130
        assert "given up" in program.said
        assert "Traceback" not in program.said


def test_python_is_given_name_and_password(home: Home) -> None:
    home.keep(good())
    script = (
        "from sessiond_login import password, credentials\n"
        "user, secret = credentials()\n"
        "print(user, secret, password('work') == secret)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=home.environment, capture_output=True, text=True
    )
    assert done.stdout == f"alice {JWT};a-refresh-token True\n"


def test_python_that_cannot_sign_in_is_told_by_an_error(tmp_path: Path) -> None:
    script = (
        "from sessiond_login import LoginError, password\n"
        "try: password()\nexcept LoginError as error: print(error.exit_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=Home(tmp_path).environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "78\n"


def test_profiles_lists_names_issuers_and_files(home: Home) -> None:
    home.profile("other", issuer=NOBODY, client_id="qstudio")
    done = home.run("profiles")
    path = home.folder / ".config/sessiond/login.toml"
    assert done.stdout == f"other  {NOBODY}  {path}\nwork   {NOBODY}  {path}\n"


OFFERED = f"""
[profile.more]
issuer = "{NOBODY}/more"
client_id = "qstudio"
"""


def test_profiles_are_shown_before_they_are_added(home: Home) -> None:
    source = home.folder / "offered.toml"
    source.write_text(OFFERED)
    command = [*PROGRAM, "profiles", "add", str(source)]
    with OnTerminal(command, environment=home.environment) as program:
        assert f"signs in at  login.test ({NOBODY}/more)" in program.wait_for("[y/N]")
        program.type("n\n")
        assert program.ended() == 77
    assert "more" not in home.run("profiles").stdout
    with OnTerminal(command, environment=home.environment) as program:
        program.wait_for("[y/N]")
        program.type("y\n")
        assert program.ended() == 0
    assert f"more  {NOBODY}/more" in home.run("profiles").stdout


def test_profiles_from_standard_input_are_added_unasked_by_who_says_so(home: Home) -> None:
    done = home.run("profiles", "add", "-", typed=OFFERED)
    assert done.returncode == 64
    assert "say --yes" in done.stderr
    assert home.run("profiles", "add", "-", "--yes", typed=OFFERED).returncode == 0
    assert "more" in home.run("profiles").stdout


def test_a_profile_is_taken_from_no_address_without_tls(home: Home) -> None:
    done = home.run("profiles", "add", "http://internal.test/login.toml", "--yes")
    assert done.returncode == 78
    assert "wanted https://" in done.stderr
