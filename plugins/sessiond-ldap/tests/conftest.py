"""A slapd for the tests that need one."""

import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from sessiond_ldap import LdapRoles, source

from sessiond.api import Granted, IssuerUnavailable, Principal, UnusableAnswer
from sessiond.testing import START

sys.path.append(str(Path(__file__).parent))  # for ldap_server: these tests are no package

from ldap_server import LdapServer

Make = Callable[..., LdapRoles]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """As the daemon runs."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def server() -> Iterator[LdapServer]:
    """One of its own for each test: they kill it, and fill it with hostile names."""
    with tempfile.TemporaryDirectory(prefix="sd-") as name:
        running = LdapServer(Path(name))
        yield running
        running.kill()


@pytest.fixture
async def make(server: LdapServer) -> AsyncIterator[Make]:
    """Makes sources that use the server, and ends them."""
    made: list[LdapRoles] = []

    def make(**settings: Any) -> LdapRoles:
        made.append(source(**server.settings(**settings)))
        return made[-1]

    yield make
    for each in made:
        await each.stop()


@pytest.fixture
def ask() -> Callable[..., Coroutine[Any, Any, Granted | str]]:
    """Asks a source about a name: what it grants, or which error it was."""

    async def ask(made: LdapRoles, user: str, subject: str = "s-1") -> Granted | str:
        try:
            return await made.roles(Principal(issuer="corp", subject=subject, name=user), now=START)
        except (IssuerUnavailable, UnusableAnswer) as error:
            return f"{type(error).__name__}: {error}"

    return ask
