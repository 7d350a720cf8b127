"""Whether there is whom an operator has named, and who else may be meant."""

from typing import Any

import pytest

from sessiond.ctl.client import Client
from sessiond.ctl.whom import ENOUGH, missing, near_names

LIVE = {"user": ["Alice@contoso.com"], "process": ["gw1", "gw1:4711"]}
NAMES = ["alice@contoso.com", "bob@contoso.com", "bobby@contoso.com"]


class Knowing(Client):
    """A daemon that knows these."""

    def __init__(self, names: list[str] | None = None) -> None:
        self.known = NAMES if names is None else names

    def get(self, path: str, **query: str | int) -> Any:
        match path:
            case "/v1/sessions":
                ((kind, value),) = ((k, v) for k, v in query.items() if k != "limit")
                same = [each for each in LIVE[kind] if each.lower() == str(value).lower()]
                return {"sessions": same, "next": None}
            case "/v1/names":
                begin, after = str(query.get("begin", "")).lower(), str(query.get("after", ""))
                found = [each for each in self.known if each.startswith(begin) and each > after]
                page = found[: int(query["limit"])]
                more = page[-1] if len(page) < len(found) else None
                return {"names": [{"name": each} for each in page], "next": more}
            case "/v1/processes":
                idle = {"name": "rdb1", "pid": 9}
                return {"processes": [{"name": "gw1", "pid": 4711}, idle], "next": None}
            case _:
                return {"issuers": [{"name": "partner"}, {"name": "corp"}]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("user", "ALICE@contoso.com"),  # live
        ("user", "Bob@contoso.com"),  # known
        ("process", "gw1"),
        ("process", "gw1:4711"),
        ("process", "rdb1:9"),  # connected, without a session
        ("issuer", "corp"),
        ("session", "anything"),
        ("all", ""),
    ],
)
def test_who_is_there_is_not_missed(kind: str, value: str) -> None:
    assert missing(Knowing(), kind, value) is None


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("user", "alcie@contoso.com", "did you mean alice@contoso.com"),
        ("user", "bob@contoso.co", "did you mean bob@contoso.com or bobby@contoso.com?"),
        ("user", "x", "nobody called x is logged in or has ever been"),
        ("process", "gw2", "no process called gw2 is connected or has sessions; did you mean gw1?"),
        ("process", "gw1:4712", "did you mean gw1:4711"),
        ("issuer", "CORP", "no issuer is called CORP; the configuration has corp, partner"),
    ],
)
def test_who_is_missed_is_told_with_who_may_be_meant(kind: str, value: str, told: str) -> None:
    assert told in str(missing(Knowing(), kind, value))


def test_among_very_many_names_those_that_begin_alike_are_looked_at_too() -> None:
    many = [f"a{number:05}" for number in range(ENOUGH + 10)]
    assert near_names(Knowing([*many, "zoe@contoso.com"]), "zoey@contoso.com") == (
        "; did you mean zoe@contoso.com?"
    )
