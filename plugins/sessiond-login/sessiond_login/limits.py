"""How long a password each kdb+ client can send, as far as anybody knows.

Tokens are long: a bare one has 1,300 characters, one with a hundred groups 6,500, and a pair has
a refresh token besides. What is not listed here was neither read in a source nor tried.
"""

from dataclasses import dataclass
from typing import Literal

DAEMON = 32_768  # bytes that sessiond looks at; a longer login is answered `toolarge`


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What one way of giving a client its password lets through."""

    client: str
    way: str  # where the password is given
    longest: int | None  # characters; None: no end of its own
    known: Literal["ends", "works"] = "ends"  # it ends there, or that much is known to work
    colon: bool = True  # whether a password with a colon arrives whole
    instead: str = ""  # what to do where it does not fit
    source: str


LIMITS = (
    Limit(
        client="VS Code",
        way="the password field of VS Code",
        longest=2_048,
        colon=False,
        instead="the KX.kdb-auth hook, which has no limit",
        source="KxSystems/kx-vscode 1.17, src/validators/kdbValidator.ts (MAX_STR_LEN) and "
        "src/services/connectionManagerService.ts (what was typed is split at each colon)",
    ),
    Limit(
        client="VS Code",
        way="the KX.kdb-auth hook of VS Code",
        longest=None,
        source="KxSystems/kx-vscode 1.17, src/classes/localConnection.ts; node-q sends it",
    ),
    Limit(
        client="Tableau",
        way="the password field of Tableau",
        longest=2_000,
        known="works",
        instead='a service account, or `send = "access"` with fewer claims in the token',
        source="tableau/connector-plugin-sdk, issue 920: more than 2,000, since 2022.1",
    ),
    Limit(
        client=".NET",
        way="an ODBC connection string of .NET, with all else that is in it,",
        longest=1_024,
        instead="a client that speaks kdb+ itself",
        source="learn.microsoft.com, OdbcConnection.ConnectionString: at most 1,024 characters",
    ),
    Limit(
        client="Excel",
        way="a connection that Excel saves, with all else that is in it,",
        longest=65_535,
        source="learn.microsoft.com, MS-OI29500 2.1.830: the attribute `connection` of dbPr. "
        "What the ODBC driver of KX takes is not known",
    ),
    Limit(
        client="qStudio",
        way="the plugin of qStudio",
        longest=None,
        source="timeseries/qstudio 4, kx/c.java: the buffer is made for what is sent",
    ),
    Limit(
        client="PyKX",
        way="`password=` of PyKX",
        longest=DAEMON,
        known="works",
        source="run with PyKX 4.2: all of it arrived",
    ),
    Limit(
        client="qPython",
        way="`password=` of qPython",
        longest=None,
        source="exxeleron/qPython 2, qpython/qconnection.py (Latin-1)",
    ),
    Limit(
        client="javakdb",
        way="`usernamepassword` of javakdb and its JDBC driver",
        longest=None,
        source="KxSystems/javakdb, com/kx/c.java: the buffer is made for what is sent",
    ),
    Limit(
        client="node-q",
        way="`password` of node-q",
        longest=None,
        source="michaelwittig/node-q 2.7, index.js (ASCII)",
    ),
    Limit(
        client="q",
        way="`hopen` of q",
        longest=2_048,
        known="works",
        instead='`send = "access"`, if a try with one of this length fails',
        source="docs.aws.amazon.com, FinSpace GetKxConnectionString: the password is a signed "
        "address of up to 2,048 characters. KX states no end",
    ),
)


def sentences(length: int, *, colon: bool = False) -> list[str]:
    """Return what to tell somebody whose password has so many characters; nothing: all is well.

    Args:
        length: Characters of the password, all of them ASCII, so bytes too.
        colon: Whether there is a colon in it.
    """
    if length > DAEMON:
        return [
            f"this password has {length:,} characters: sessiond takes {DAEMON:,}, so no client "
            "can log in with it; ask your administrator for a token with fewer claims"
        ]
    return [
        f"this password {found}" + (f"; use {limit.instead}" if limit.instead else "")
        for limit in LIMITS
        if (found := _unfit(limit, length, colon=colon))
    ]


def _unfit(limit: Limit, length: int, *, colon: bool) -> str:
    if limit.longest is not None and length > limit.longest:
        if limit.known == "works":
            return (
                f"has {length:,} characters: {limit.way} is known to take {limit.longest:,}, "
                "nobody has told of more"
            )
        return f"has {length:,} characters: {limit.way} takes {limit.longest:,}"
    if colon and not limit.colon:
        return f"has a colon: {limit.way} loses what follows one"
    return ""
