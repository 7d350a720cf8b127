"""docs/tokens.md, its lines of q run as they stand there."""

import re
from pathlib import Path

import pytest

from sessiond.qipc import boolean, dictionary, mapping, string, symbol, text, timestamp
from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Interpreter
from tests.q.scripted import EXPIRES, ScriptedDaemon
from tests.q.test_tickets import behind, connected, entered, given, names, rdb

__all__ = ["behind"]  # a fixture
pytestmark = pytest.mark.needs("q")

PAGE = (Path(__file__).parents[2] / "docs/tokens.md").read_text(encoding="utf-8")
MARKED = dict(re.findall(r"^<!-- q: (\w+) -->\n```q\n(.*?)^```$", PAGE, re.M | re.S))
TOKEN = "a-token-for-the-source"


def line(name: str) -> str:
    """Return a block's one line, without its comment."""
    (only,) = str(MARKED[name]).splitlines()
    return only.partition("    / ")[0]


def test_the_gateways_line_opens_the_rdb_as_whoever_calls(
    start_q: Start, daemon: ScriptedDaemon, behind: ScriptedDaemon
) -> None:
    daemon.answers["ticket"] = lambda _: given()
    gateway, server = connected(start_q, daemon), rdb(start_q, behind)
    names(gateway, server)
    gateway.run(line("gateway").replace("5011", str(server.port)) + ";")
    alice = entered(gateway, "alice")
    assert alice.ask(string("(rdb[](`me;::))`user")) == symbol("alice")
    (sent,) = behind.next_call("connect")
    assert text(mapping(sent)["user"]) == "alice"


def test_the_feeds_line_is_the_text_of_a_token(start_q: Start, daemon: ScriptedDaemon) -> None:
    daemon.answers["token"] = lambda _: dictionary(
        {
            "ok": boolean(True),
            "token": string(TOKEN),
            "type": string("Bearer"),
            "expires": timestamp(EXPIRES),
            "reason": symbol(""),
        }
    )
    feed: Interpreter = connected(start_q, daemon)
    assert feed.evaluate(line("feed")) == f'"{TOKEN}"'
    (asked,) = daemon.next_call("token")
    assert text(mapping(asked)["name"]) == "quotes"


def test_the_functions_that_it_names_are_there() -> None:
    code = "".join(file.read_text() for file in Path(HOOK).glob("*.q"))
    assert {".sessiond.ticket", ".sessiond.hopen", ".sessiond.token", ".sessiond.tokenof"} <= {
        *re.findall(r"\.sessiond\.\w+", PAGE)
    }
    for name in {*re.findall(r"\.(?:sessiond|asuser)\.(\w+)[\[`]", PAGE)}:
        assert re.search(rf"^(?:\.sessiond\.)?{name}:[@{{]", code, re.M), name
