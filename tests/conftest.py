"""The tests' common ground: the asyncio backend, the issuers, and what tests need."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import canary
from tests.issuer.running import RunningIssuer
from tests.needs import absent, is_error

ISSUERS = {"strict_issuer", "entra_issuer", "tls_issuer"}  # whoever uses one needs "real"
NOWHERE = "http://127.0.0.1:9"
NEEDS = "Skipped: needs "  # how pytest reports what is skipped below

hypothesis.settings.register_profile("sessiond", deadline=None)  # a deadline is a timing assertion
hypothesis.settings.load_profile("sessiond")

# What a shell has its background jobs ignore, all that a test starts would ignore too.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ISSUERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.needs("real"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal files out so that Keycloak is started once, where files are dealt out whole."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.keycloak.one_worker import OneKeycloak  # xdist may be absent

    return OneKeycloak(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for what in {name for mark in item.iter_markers("needs") for name in mark.args}:
        reason = absent(what)
        if reason is None:
            continue
        if is_error(what):
            pytest.fail(f"needs {what}: {reason}", pytrace=False)
        pytest.skip(f"needs {what}: {reason}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name each test that was not run. Reports come from xdist's workers too, stashes do not."""
    skipped = [
        (report.nodeid, report.longrepr[2].removeprefix(NEEDS))
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple) and report.longrepr[2].startswith(NEEDS)
    ]
    if skipped:
        terminalreporter.section("not run, for want of")
    for test, lacking in skipped:
        what, _, reason = lacking.partition(": ")
        terminalreporter.write_line(f"{what}: {test} ({reason})")


@pytest.fixture(scope="session", autouse=True)
def proxy() -> Iterator[None]:
    """Set a proxy that leads nowhere: neither a test nor what it starts may go by way of one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.setenv(name, NOWHERE)
            patch.setenv(name.upper(), NOWHERE)
        for name in ("no_proxy", "NO_PROXY"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_error_tells_a_secret() -> Iterator[None]:
    """Fail the session's last test where the text of any error had a token in it.

    Judged at the end, since a token may be remembered after the error that has it.
    """
    with canary.texts_of_errors() as texts:
        yield
    leaks = canary.leaks(texts)
    if leaks:
        pytest.fail("secrets in the text of errors:\n" + "\n".join(leaks), pytrace=False)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on asyncio's own loop; a module that wants trio too has a fixture of this name."""
    return "asyncio", {"use_uvloop": False}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket's address."""
    with tempfile.TemporaryDirectory(prefix="sd-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def running_strict_issuer() -> Iterator[RunningIssuer]:
    with RunningIssuer(rotation="strict") as issuer:
        yield issuer


@pytest.fixture(scope="session")
def running_entra_issuer() -> Iterator[RunningIssuer]:
    with RunningIssuer(rotation="entra") as issuer:
        yield issuer


@pytest.fixture(scope="session")
def running_tls_issuer() -> Iterator[RunningIssuer]:
    with RunningIssuer(tls=True, rotation="entra", scopeless="graph", typ="JWT") as issuer:
        yield issuer


@pytest.fixture
def strict_issuer(running_strict_issuer: RunningIssuer) -> Iterator[RunningIssuer]:
    """Plain http; a refresh token is good once, and its reuse ends the whole grant."""
    yield from lent(running_strict_issuer)


@pytest.fixture
def entra_issuer(running_entra_issuer: RunningIssuer) -> Iterator[RunningIssuer]:
    """Plain http; each refresh gives a new refresh token, and the old one stays good."""
    yield from lent(running_entra_issuer)


@pytest.fixture
def tls_issuer(running_tls_issuer: RunningIssuer) -> Iterator[RunningIssuer]:
    """Entra-shaped, as MSAL wants it: TLS, typ JWT, Graph's tokens for a scopeless refresh."""
    yield from lent(running_tls_issuer)


def lent(issuer: RunningIssuer) -> Iterator[RunningIssuer]:
    """Lend the session's issuer to one test, as if new; whoever kills one starts his own."""
    issuer.control.reset()
    yield issuer
    issuer.control.clear_faults()
