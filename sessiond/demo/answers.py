"""What a simulated q process answers to queries: enough for a client to show something.

It runs no q. Whatever it does not know word for word is a q error that says so.
"""

import re
from datetime import UTC, datetime, timedelta

from sessiond.core.errors import CallError
from sessiond.core.secret import Secret
from sessiond.qipc import (
    NIL,
    QError,
    QType,
    Value,
    Vector,
    boolean,
    int_,
    is_ping,
    list_,
    password,
    string,
    symbol,
    symbols,
    table,
    text,
    timestamp,
    unpack_call,
)

RENEW = ".sessiond.renew"
UNKNOWN = QError("nyi: this stands in for q; it knows .z.u, .z.w, tables[] and trade")

_NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
TRADE = table(
    {
        "time": list_(*(timestamp(_NOON + timedelta(seconds=at)) for at in (0, 1, 3, 4, 9))),
        "sym": symbols(["AAPL", "MSFT", "AAPL", "IBM", "MSFT"]),
        "price": Vector(QType.FLOAT, (182.5, 415.25, 182.75, 290.0, 415.0)),
        "size": Vector(QType.LONG, (100, 250, 40, 75, 300)),
    }
)
# qStudio has q run each query in a function of its own, which gets it as a string.
_QSTUDIO, _ITS_END = "{v:$[`trp in key .Q;", '} "'
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def answer(query: Value, *, user: str, handle: int) -> Value | QError:
    """Return what q would answer.

    Args:
        query: As it was sent.
        user: Whose .z.u it is.
        handle: .z.w.
    """
    if is_ping(query):
        return NIL
    try:
        asked = text(query).strip()
    except CallError:  # a call, a function: that takes a q
        return UNKNOWN
    before, _, quoted = asked.rpartition(_ITS_END)
    if before.startswith(_QSTUDIO) and quoted.endswith('"'):
        inner = _ESCAPED.sub(r"\1", quoted.removesuffix('"'))
        return _for_qstudio(inner, user=user, handle=handle)
    match re.sub(r"[\s;]+", "", asked):
        case ".z.u":
            return symbol(user)
        case ".z.w":
            return int_(handle)
        case "trade" | "selectfromtrade":
            return TRADE
        case "tables[]" | "tables`" | "tables`.":
            return symbols(["trade"])
        case _:
            return UNKNOWN


def brought(query: Value) -> Secret | None:
    """Return the token that a query renews its session with, or None for one that does not."""
    try:
        name, arguments = unpack_call(query)
        return password(*arguments) if name == RENEW and len(arguments) == 1 else None
    except CallError:
        return None


def _for_qstudio(query: str, *, user: str, handle: int) -> Value:
    """Answer as qStudio's function does: (fits; ((ran; `); value or error, trace); console)."""
    value = answer(string(query), user=user, handle=handle)
    if isinstance(value, QError):
        ran = list_(list_(boolean(False), symbol("")), string(value.text), string(""))
    else:
        ran = list_(list_(boolean(True), symbol("")), value)
    return list_(boolean(True), ran, string(""))
