"""A daemon with data sources, and a q process that may ask for their tokens."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sessiond.testing import FakeProcess
from tests import canary
from tests.issuer.running import RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration

FEED = "feed1"
SECRET = "feeds-secret"
GUARD = f'[[access.process]]\nname = "feed*"\npeers = [{os.geteuid()}]\n'
NULL = -(2**63)


def source(name: str = "quotes", **keys: Any) -> str:
    """Return a `[[source]]` of the client `feeds`, with these keys in place of others."""
    table = {
        "name": name,
        "issuer": "corp",
        "client_id": "feeds",
        "client_secret_file": "{folder}/feeds",
        "scope": "session.login",
        "processes": ["feed*"],
        **keys,
    }
    lines = [f"{key} = {_in_toml(value)}" for key, value in table.items() if value is not None]
    return "\n".join(["[[source]]", *lines, ""])


def _in_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value).replace("'", '"')


def with_sources(issuer: RunningIssuer, folder: Path, *sources: str, **tables: str) -> str:
    """Return a configuration with these sources; their client's secret is in the folder."""
    secret(folder / "feeds", SECRET)
    return configuration(issuer, **tables) + GUARD + "".join(sources)


def secret(path: Path, text: str) -> Path:
    """Put a secret where the daemon reads it."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@contextmanager
def asking(daemon: RunningDaemon, *names: str) -> Iterator[list[FakeProcess]]:
    """Yield processes of these names, one at least, that have said hello."""
    every = names or (FEED,)
    with PeerFarm(daemon.address, len(every)) as farm:
        found = [
            FakeProcess(each, name=name) for each, name in zip(farm.sockets, every, strict=True)
        ]
        for each in found:
            each.hello()
        yield found


def given(process: FakeProcess, name: str = "quotes", session: UUID | None = None) -> str:
    """Return the token, which is looked for from now on where none may be."""
    answer = process.token(name, session)
    assert set(answer) == {"ok", "token", "type", "expires", "reason"}
    assert (answer["ok"], answer["type"], answer["reason"]) == (True, "Bearer", ""), answer
    canary.remember(answer["token"], "source token")
    return str(answer["token"])


def refused(process: FakeProcess, name: str = "quotes", session: UUID | None = None) -> str:
    """Return why there is none."""
    answer = process.token(name, session)
    told = (answer["ok"], answer["token"], answer["type"], answer["expires"])
    assert told == (False, "", "", NULL)
    return str(answer["reason"])
