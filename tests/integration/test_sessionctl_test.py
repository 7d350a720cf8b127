"""`sessionctl test` against a real issuer's device codes (RFC 8628) and a real daemon."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.conftest import Start
from tests.integration.operating import PATIENCE
from tests.integration.terminal import PROGRAM
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

ENTRA = """
kind = "entra"
verify = "jwt"
audience = ["api://kdb"]
refresh_client_id = "qstudio"
refresh_scope = "api://kdb/session.login"
"""


class Signing:
    """`sessionctl test`, which waits for somebody to sign in."""

    def __init__(self, daemon: RunningDaemon, *options: str) -> None:
        config = str(daemon.folder / "config.toml")
        self._run = subprocess.Popen(
            [*PROGRAM, "--config", config, "test", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.told = ""

    def url(self) -> str:
        """Wait for the URL that has the code in it."""
        assert self._run.stderr is not None
        for line in self._run.stderr:
            self.told += line
            found = re.match(r"or visit (\S+)", line)
            if found is not None:
                return found[1]
        raise AssertionError(f"it ended before it showed a code: {self.told}")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: its code, and what it printed."""
        out, err = self._run.communicate(timeout=PATIENCE)
        return self._run.returncode, out, self.told + err

    def kill(self) -> None:
        self._run.kill()
        self._run.communicate()


@contextmanager
def signing(daemon: RunningDaemon, *options: str) -> Iterator[Signing]:
    started = Signing(daemon, *options)
    try:
        yield started
    finally:
        started.kill()


def test_a_user_signs_in_and_the_login_is_explained(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer, extra='required_scope = "session.login"'))
    with signing(daemon) as program:
        url = program.url()
        assert re.search(r"Visit \S+ and enter the code: [A-Z]{4}-[A-Z]{4}\n", program.told)
        strict_issuer.enter_device_code(url)
        code, out, err = program.end()
    assert code == 0, err
    assert f"would be let in as {ALICE}" in out
    assert f"Signed in: {ALICE}" in err
    assert "eyJ" not in out + err
    assert daemon.logged(1, event="ready")
    assert not any("eyJ" in line for line in daemon.lines)


def test_at_an_entra_shaped_issuer_too(tls_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(tls_issuer, extra=ENTRA))
    with signing(daemon) as program:
        tls_issuer.enter_device_code(program.url())
        code, out, err = program.end()
    assert code == 0, err
    assert f"would be let in as {ALICE}" in out


def test_a_user_who_refuses_is_said(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    with signing(daemon) as program:
        strict_issuer.enter_device_code(program.url(), agrees=False)
        code, out, err = program.end()
    assert (code, out) == (77, "")
    assert "access_denied" in err


@pytest.mark.parametrize("client", ["sessiond", "nobody"])
def test_a_client_that_may_not_is_said_with_what_to_do(
    strict_issuer: RunningIssuer, start: Start, client: str
) -> None:
    daemon = start(configuration(strict_issuer))
    with signing(daemon, "--client", client) as program:
        code, out, err = program.end()
    assert (code, out) == (78, "")
    assert f"the client {client} must be one that users sign in with" in err
