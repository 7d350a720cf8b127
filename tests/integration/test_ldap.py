"""A person's token at the daemon's kdb+ socket, and roles of a real directory beside it."""

import json
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Connected, Start
from tests.integration.minting import Mint, configuration

sys.path.append(str(Path(__file__).parents[2] / "plugins" / "sessiond-ldap" / "tests"))
LdapServer: Any = import_module("ldap_server").LdapServer

pytestmark = pytest.mark.needs("ldap")


@pytest.fixture
def server() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="sd-") as name:
        running = LdapServer(Path(name))
        yield running
        running.kill()


def table(server: Any, more: str) -> str:
    """Return the [[role_source]] table for this server."""
    settings = server.settings(attributes={"employeeType": "desk", "description": "floor"})
    inner = [name for name, value in settings.items() if isinstance(value, dict)]
    lines = ["[[role_source]]", 'plugin = "ldap"', "deadline = 10.0", more]
    lines += [f"{key} = {json.dumps(settings[key])}" for key in settings if key not in inner]
    for name in inner:
        lines.append(f"[role_source.{name}]")
        lines += [f"{json.dumps(key)} = {json.dumps(one)}" for key, one in settings[name].items()]
    text = "\n" + "\n".join(lines) + "\n"
    return text.replace("{", "{{").replace("}", "}}")  # a template


def test_roles_and_attributes_of_the_directory_are_added_to_the_tokens(
    server: Any, start: Start, process: Connected, folder: Path
) -> None:
    server.add_group("traders", server.add_user("ann", employeeType="dir", description="2"))
    mint = Mint()
    mint.publish(folder / "keys")
    issuer = 'roles = {{ reader = "reader" }}\nattributes = {{ desk = "desk" }}'
    daemon = start(configuration(issuer=issuer, more=table(server, "cache = 0\nstale = 600.0")))
    q = process(daemon)
    answer = q.log_in("ann", mint.password("ann", roles=["reader"], desk="token"))
    assert answer["roles"] == ["reader", "trading"]
    assert answer["attributes"] == {"desk": "token", "floor": "2"}
    server.kill()
    known = q.connect("ann", mint.password("ann", n=2), handle=8)
    assert known["roles"] == ["trading"]
    assert q.connect("bob", mint.password("bob"), handle=9)["reason"] == "unavailable"
    assert daemon.stop() == 0
