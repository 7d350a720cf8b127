"""Quotes of a data source, and how a q process reads them with a token."""

import json
import urllib.request
from typing import Any

from sessiond.core.secret import Secret

AUDIENCE = "api://quotes"
SCOPE = "quotes.read"
QUOTES = [
    {"sym": "AAPL", "bid": 182.5, "ask": 182.75},
    {"sym": "IBM", "bid": 289.5, "ask": 290.25},
    {"sym": "MSFT", "bid": 415.0, "ask": 415.25},
]
TIMEOUT = 10.0  # seconds


def quotes(url: str, token: Secret) -> list[Any]:
    """Read the quotes of a source, as a q process would with `:https://.

    Raises:
        OSError: It shows none.
    """
    bearer = {"Authorization": f"Bearer {token.reveal()}"}
    asked = urllib.request.Request(url, headers=bearer)  # noqa: S310 - the story's own
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=TIMEOUT) as answer:
        found: list[Any] = json.load(answer)["quotes"]
    return found
