"""A q interpreter with the hook loaded, and a daemon that can be told what to say."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.issuer.running import RunningIssuer
from tests.q.interpreter import ADAPTER, HOOK, Interpreter
from tests.q.scripted import KEY, ScriptedDaemon
from tests.running_daemon import RunningDaemon, configuration

Start = Callable[..., Interpreter]
SHIM = Path(__file__).parent / "unix_shim.c"


@pytest.fixture(scope="session")
def q_executable() -> str:
    """`$SESSIOND_TEST_Q`, or `q` on the PATH."""
    found = os.environ.get("SESSIOND_TEST_Q") or shutil.which("q")
    if found is None:
        pytest.skip("no q interpreter: set SESSIOND_TEST_Q")
    return found


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as scripted:
        yield scripted


@pytest.fixture
def start_q(q_executable: str, tmp_path: Path) -> Iterator[Start]:
    """A function that starts q with the hook: lines before it, lines after it, the daemon's port.

    Without a port the address is one where nobody listens.
    """
    with starting(q_executable, tmp_path) as start:
        yield start


@contextmanager
def starting(q_executable: str, folder: Path) -> Iterator[Start]:
    """Yield what `start_q` gives; the processes end with the block."""
    with ExitStack() as running:

        def start(
            before: str = "",
            after: str = "",
            *,
            port: int = 1,
            arguments: tuple[str, ...] = (),
            environment: dict[str, str] | None = None,
        ) -> Interpreter:
            (folder / "proof").write_text(KEY + "\n")
            script = "\n".join(
                [
                    f'.sessiond.directory:"{HOOK}"',
                    f".sessiond.port:{port}",
                    f".sessiond.address:`::{port}",
                    f'.sessiond.proofkey:hsym`$"{folder}/proof"',
                    ".sessiond.retry:0D00:00:00.05",
                    ".sessiond.maxretry:0D00:00:00.05",
                    ".sessiond.pace:0D00:00:00",
                    before,
                    f"\\l {HOOK}/sessiond.q",
                    f"\\l {ADAPTER}",
                    after,
                ]
            )
            return running.enter_context(
                Interpreter.start(
                    q_executable, folder, script, arguments=arguments, environment=environment
                )
            )

        yield start


@pytest.fixture(scope="session")
def unix_shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the compiled shim."""
    return compiled_shim(tmp_path_factory.mktemp("shim"))


def compiled_shim(folder: Path) -> str:
    """Compile the shim there; return its path."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: the shim that lets q reach a Unix socket cannot be built")
    built = folder / "unix_shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", built, SHIM, "-ldl"], check=True)
    return str(built)


def reaching(daemon: RunningDaemon, shim: str) -> dict[str, str]:
    """Return the environment in which q reaches a daemon's Unix socket, for `start_q`."""
    return {"QUDSPATH": str(daemon.folder), "KXPORT": str(daemon.port), "LD_PRELOAD": shim}


def asking_daemon(issuer: RunningIssuer, folder: Path, extra: str) -> RunningDaemon:
    """Return a daemon for opaque tokens, which asks again for live sessions every 0.2 s.

    Args:
        issuer: Whom it asks.
        folder: Has the files that it reads: `keep_secrets`.
        extra: The rest of the issuer's table, and what follows it.
    """
    settings = configuration(
        issuer,
        extra=extra,
        listen='proof_key_file = "{folder}/proof"',
        refresh="recheck = 0.2",
        login="cache_asked = 0.0",
    ).replace('"qstudio"', '"qstudio-opaque"')
    return RunningDaemon(folder, settings)


def keep_secrets(folder: Path, **more: str) -> None:
    """Put the proof key and the client's secret there, and more of them by the files' names."""
    for name, content in {"proof": KEY, "secret": "sessiond-secret", **more}.items():
        (folder / name).write_text(content + "\n")
        (folder / name).chmod(0o600)
