"""`sessiond demo`: the story as a process tells it, and those who play in it."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import httpx
import pytest

from sessiond.demo import stage, story
from sessiond.demo.actor import Actor, StepFailedError
from sessiond.demo.issuer import CLIENT, PASSWORDS, SECRETS, DemoIssuer
from sessiond.demo.telling import Telling
from sessiond.demo.users import sign_in
from sessiond.qipc import (
    Handshake,
    Received,
    ServerConnection,
    dictionary,
    octets,
    string,
    unpack_call,
)
from sessiond.testing.granting import REFRESH_MARK

STORY = [
    r"sessiond \S+ at work",
    r"issuer +is up at http://127\.0\.0\.1:\d+",
    r"sessiond +is ready",
    r"1\. The daemon proves itself",
    r"gateway1 +has sessiond prove its key",
    r"gateway2 +has sessiond prove its key",
    r"2\. alice has no token yet: she signs in",
    r"sessionctl client-profile writes her profile",
    r"alice +runs `sessiond-login --device`",
    r"Visit http://127\.0\.0\.1:\d+/device and enter the code: [A-Z]{4}-[A-Z]{4}",
    r"alice +enters the code there",
    r"issuer +gives her program an access token and a refresh token",
    r"3\. Her tokens go to both gateways",
    r"alice +her client runs `sessiond-login token --json`",
    r"alice +connects to gateway1, `::\d+:alice:\.\.\.",
    r"gateway1 +lets her in: reader, handle \d+, until",
    r"alice +connects to gateway2, `::\d+:alice:\.\.\.",
    r"gateway2 +lets her in: reader, handle \d+, until",
    r"4\. What should not get in does not",
    r"plain password: nottoken; it never leaves q",
    r"payroll: wrongaudience",
    r"renamed alice: badsignature",
    r"bob's own token: usermismatch",
    r"5\. At rdb1 she is herself as well, by a ticket",
    r"alice +asks gateway1 for what rdb1 has",
    r"gateway1 +gets her a ticket for it, good once",
    r"rdb1 +lets her in: reader, handle \d+; \.z\.u is alice",
    r"alice +reads `trade` there",
    r"6\. A feed reads a source that wants a token",
    r"feed1 +asks for its token, and reads 3 quotes",
    r"feed1 +reads 3 again, by that from memory",
    r"issuer +gave sessiond one token for kdb-feeds",
    r"7\. Two programs share a token store",
    r"risk\d +finds none, locks, signs in, writes, releases",
    r"risk\d +(waits for the lock, reads again|reads): there it is",
    r"issuer +was called once for both",
    r"8\. The tokens are refreshed ahead of time",
    r"sessiond +gets alice's next tokens",
    r"gateway1 +keeps handle \d+ until",
    r"gateway2 +keeps handle \d+ until",
    r"rdb1 +keeps handle \d+ until",
    r"issuer +was called once: all three",
    r"9\. The daemon is killed and started again; nothing is lost",
    r"kill -9 +hits sessiond",
    r"gateway1 +loses sessiond; alice stays",
    r"gateway2 +loses sessiond; alice stays",
    r"rdb1 +loses sessiond; alice stays",
    r"sessiond +is ready again",
    r"gateway1 +finds her session as it was",
    r"gateway2 +finds her session as it was",
    r"rdb1 +finds her session as it was",
    r"risk1 +reads the token that it had written",
    r"10\. alice is disabled",
    r"issuer +refuses sessiond's refresh: invalid_grant",
    r"gateway1 +closes handle",
    r"gateway2 +closes handle \d+: refused",
    r"rdb1 +closes handle \d+: (parent|refused)",
    r"alice +reads the end of both connections",
    r"All of it happened",
]
# A person at a browser: opens the page, sends its form back, and goes where it is then sent.
WALKS = """\
import sys
import httpx
with httpx.Client(trust_env=False, follow_redirects=True, timeout=30) as browser:
    page = browser.get(sys.argv[1])
    browser.post(page.url, data={"user": "alice", "password": "wonderland"})
"""
LOOKS_LIKE_TOKENS = ";".join(["a" * 20, "r" * 20])
WELCOME = dictionary({"server": string("sessiond 9"), "proof": octets(bytes(20))})


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short name: a socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def told(folder: Path) -> "subprocess.CompletedProcess[str]":
    """`sessiond demo`, once for all that is asked of it."""
    return watched("", folder)


@pytest.fixture
def issuer_url() -> Iterator[str]:
    with DemoIssuer(life=60).serve() as url:
        yield url


def test_the_demo_ends_well_and_tells_everything_in_order(
    told: "subprocess.CompletedProcess[str]",
) -> None:
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    lines = iter(told.stdout.splitlines())
    missing = [each for each in STORY if not any(re.search(each, line) for line in lines)]
    assert missing == [], told.stdout


def test_every_line_fits_a_terminal_of_80_columns(told: "subprocess.CompletedProcess[str]") -> None:
    assert told.stdout
    assert [line for line in told.stdout.splitlines() if len(line) > 80] == []


def test_long_words_are_broken_but_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    words, address = "some words to tell " * 10, f"http://127.0.0.1/{'x' * 90}"
    telling = Telling()
    telling.title(words)
    telling.step(1, words)
    telling.line("sessionctl", words, took=1234.5, since="so many words")
    telling.quote(words)
    telling.quote(f"Open {address}")
    telling.end(words)
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip(" |") for line in lines if len(line) > 80] == [address]
    assert any("[1234500.0 ms after so many words]" in line for line in lines)


def test_whoever_watches_can_be_the_one_who_signs_in(folder: Path, tmp_path: Path) -> None:
    walks = tmp_path / "walks.py"
    walks.write_text(WALKS)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\n"{sys.executable}" "{walks}" "$1" &\n')
    browser.chmod(0o700)
    told = watched("--browser", folder, BROWSER=str(browser))
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    assert "sign in as alice, with the password wonderland" in told.stdout
    assert "All of it happened" in told.stdout
    assert_tells_no_token(told.stdout)
    assert list(folder.iterdir()) == []
    assert processes_naming(folder) == []


def test_without_the_program_that_people_sign_in_with_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(story, "PROGRAM", "sessiond_login_that_is_not_there")
    assert story.main() == os.EX_UNAVAILABLE
    printed = capsys.readouterr()
    assert "-m pip install ./plugins/sessiond-login" in printed.err
    assert printed.out == ""


def test_a_piped_story_has_no_colours(told: "subprocess.CompletedProcess[str]") -> None:
    assert told.stdout
    assert "\x1b" not in told.stdout


def test_no_token_and_no_password_is_told(told: "subprocess.CompletedProcess[str]") -> None:
    assert "alice" in told.stdout
    assert_tells_no_token(told.stdout)
    secrets = [*PASSWORDS.values(), *SECRETS.values()]
    assert [each for each in secrets if each in told.stdout] == []


def test_the_demo_leaves_neither_files_nor_processes(
    told: "subprocess.CompletedProcess[str]", folder: Path
) -> None:
    assert told.stdout
    assert list(folder.iterdir()) == []
    assert processes_naming(folder) == []


@pytest.mark.parametrize("number", story.LEAVE)
def test_whoever_ends_it_half_way_ends_everybody_and_no_token_stays(
    folder: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "sessiond", "demo"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        assert any("sessiond   is ready" in line for line in demo.stdout)
        demo.send_signal(number)
        demo.stdout.read()
    assert demo.returncode == 128 + number
    assert list(folder.iterdir()) == []
    assert processes_naming(folder) == []


def test_a_step_that_does_not_happen_fails_the_demo_and_shows_the_daemons_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = stage.CONFIGURATION.replace("session.login", "another.scope")
    monkeypatch.setattr(stage, "CONFIGURATION", strict)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    assert story.main() == 1
    shown = capsys.readouterr().out
    assert "This did not happen: gateway1 refuses alice: wrongscope" in shown
    assert '"reason":"wrongscope"' in shown
    assert_tells_no_token(shown)
    assert list(folder.iterdir()) == []
    assert processes_naming(folder) == []


def test_whoever_dies_is_not_waited_for() -> None:
    with Actor("nobody", "sessiond.demo.no_such_module") as nobody:
        with pytest.raises(StepFailedError, match="nobody did not report `ready`: it ended"):
            nobody.expect("ready")
        assert any("No module named" in line for line in nobody.lines)


def test_the_issuers_tokens_look_as_the_other_tests_believe(issuer_url: str) -> None:
    tokens = sign_in(issuer_url, "alice")
    assert tokens.access.reveal().startswith("eyJ")
    assert tokens.refresh.reveal().startswith(REFRESH_MARK)


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_whole_sign_in(
    issuer_url: str,
) -> None:
    first = sign_in(issuer_url, "alice")
    status, second = refreshed(issuer_url, first.refresh.reveal())
    assert status == 200
    assert second["refresh_token"] != first.refresh.reveal()

    assert refreshed(issuer_url, first.refresh.reveal()) == (400, {"error": "invalid_grant"})
    assert refreshed(issuer_url, second["refresh_token"]) == (400, {"error": "invalid_grant"})


def test_a_disabled_user_neither_refreshes_nor_signs_in_and_others_do() -> None:
    issuer = DemoIssuer(life=60)
    with issuer.serve() as url:
        alice, bob = (sign_in(url, user) for user in ("alice", "bob"))
        issuer.disable("alice")

        refusal = (400, {"error": "invalid_grant"})
        assert refreshed(url, alice.refresh.reveal()) == refusal
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            sign_in(url, "alice")
        assert refreshed(url, bob.refresh.reveal())[0] == 200


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"client_id": "another", "grant_type": "password"}, "invalid_client"),
        ({"client_id": CLIENT, "grant_type": "implicit"}, "unsupported_grant_type"),
        (
            {"client_id": CLIENT, "grant_type": "password", "username": "alice", "password": "x"},
            "invalid_grant",
        ),
        ({"client_id": CLIENT, "grant_type": "refresh_token"}, "invalid_grant"),
    ],
)
def test_the_issuer_refuses_what_is_wrong(issuer_url: str, form: dict[str, str], code: str) -> None:
    answer = httpx.post(f"{issuer_url}/token", data=form, trust_env=False)
    assert (answer.status_code, answer.json()) == (400, {"error": code})


def test_the_issuers_public_keys_hold_nothing_private() -> None:
    keys = DemoIssuer(life=60).keys()["keys"]
    assert [set(key) for key in keys] == [{"kty", "kid", "use", "crv", "x", "y"}]


def test_a_simulated_process_sends_no_token_to_a_daemon_that_cannot_prove_itself(
    folder: Path,
) -> None:
    key_file = folder / "key"
    key_file.write_text("the right key\n")
    heard: list[str] = []
    with Impostor(f"{folder}/kx.1", heard) as impostor:
        arguments = ("--name", "gw", "--address", impostor.address, "--key-file", str(key_file))
        with Actor("gw", "sessiond.demo.process", *arguments) as process:
            process.expect("unproved")
            process.tell(do="login", user="alice", password=LOOKS_LIKE_TOKENS)
            refused = process.expect("refused", user="alice")
    assert (refused["reason"], refused["sent"]) == ("unavailable", False)
    assert set(heard) == {"hello"}
    key_file.unlink()


def test_what_a_simulated_process_cannot_use_is_said_without_showing_it(folder: Path) -> None:
    def started(key_file: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sessiond.demo.process", "--name", "gw"]
        command += ["--address", f"{folder}/kx.1", "--key-file", str(key_file)]
        return subprocess.run(
            command, input="a-token\n", capture_output=True, text=True, check=False
        )

    none = started(folder / "none")
    assert none.returncode == 2
    assert none.stderr.endswith(f"No such file or directory: '{folder}/none'\n")
    assert "Traceback" not in none.stderr
    (folder / "key").write_text("a key\n")
    no_command = started(folder / "key")
    (folder / "key").unlink()
    assert no_command.returncode == 1
    assert no_command.stderr.startswith("a line of input is no JSON, wanted {")
    assert "a-token" not in no_command.stderr


class Impostor:
    """Listens where the daemon should, and knows no key. `heard` are the calls it got."""

    def __init__(self, address: str, heard: list[str]) -> None:
        self.address = address
        self._heard = heard
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(f"\0{address}")
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Impostor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # shut down
                return
            with connection, suppress(ConnectionError):  # the process leaves as it likes
                self._attend(connection)

    def _attend(self, connection: socket.socket) -> None:
        wire = ServerConnection(1 << 16)
        while data := connection.recv(65536):
            wire.receive_data(data)
            while (event := wire.next_event()) is not None:
                match event:
                    case Handshake():
                        connection.sendall(wire.accept())
                    case Received():
                        self._heard.append(unpack_call(event.value)[0])
                        connection.sendall(wire.reply(WELCOME))


def watched(option: str, folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run `sessiond demo` where it leaves nothing but in this folder."""
    kept = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "sessiond", "demo", *option.split()],
        capture_output=True,
        text=True,
        env={**kept, **more, "TMPDIR": str(folder)},
    )


def assert_tells_no_token(text: str) -> None:
    """Hold that nothing in a story is a token, nor long enough to be one, a code or a cookie."""
    for mark in ("eyJ", "ticket:", REFRESH_MARK):
        assert mark not in text
    named = re.sub(r'"kid":"[^"]*"', "", text)  # of a key that everybody may know
    assert re.search(r"[A-Za-z0-9_-]{40}", named) is None


def refreshed(issuer: str, refresh_token: str) -> tuple[int, dict[str, str]]:
    """Return the status and the body of a refresh."""
    form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": refresh_token}
    answer = httpx.post(f"{issuer}/token", data=form, trust_env=False)
    return answer.status_code, answer.json()


def processes_naming(folder: Path) -> list[str]:
    """Return the command lines of the processes that were started with this folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if f"{folder}/" in line:
            found.append(line)
    return found
