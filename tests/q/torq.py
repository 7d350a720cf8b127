"""TorQ's own files in a q process under test: `$SESSIOND_TEST_TORQ` is a checkout of TorQ.

Its handlers are loaded in its order, after its timer and its `.dotz`. They are its files, byte for
byte, but for SPELLED: what the interpreter that we have does not know is said there in other
words, in a copy. Where a text there is no longer in TorQ's file, the test fails and says so.

Not TorQ's: its logger and the names of the process (torq_prelude.q), and with permissions the
calls that change their tables (torq_calls.q).
"""

from pathlib import Path

HERE = Path(__file__).parent
TIMER = "code/common/timer.q"
API = "code/common/api.q"
EXECAS = "code/common/execas.q"
HANDLERS = "code/handlers"

SPELLED = {
    "api.q": (("`u#", ""),),
    "dotz.q": (
        ("@[.:;", "@[value;"),  # a verb of k
        ("{.:}", "{value}"),
    ),
    "permissions.q": (
        # A boolean applied to a symbol fails, so in q this is 0b; the interpreter amends.
        ("@[1b; `.access.enabled;0b]", "0b"),
        ("err.:(::);", "err:enlist[`]!enlist(::);"),
        # A symbol is looked for in a table of one column.
        ("in key user)", "in exec id from user)"),
        ("in key user;", "in exec id from user;"),
        ("t in key 1!access;", "t in exec object from access;"),
        ("if[t in key virtualtable;", "if[t in exec name from virtualtable;"),
        # Another answer of `exec` from a dictionary.
        (
            "f in key virtualtable;exec (?;table;enlist whereclause;0b;()) from virtualtable[f]",
            "f in exec name from virtualtable;"
            "(?;virtualtable[f;`table];enlist virtualtable[f;`whereclause];0b;())",
        ),
        ("first[x] in .q}", "any first[x]~/:value .q}"),
        # The most of nothing; the text of a lambda.
        ("\n  max k}", "\n  any 1b~/:k}"),
        (
            "str:{$[10h=type x;;string]x}'",
            "str:{$[10h=type x;x;100h=type x;last value x;string x]}'",
        ),
        # Text as tokens.
        ("`$distinct -4!raze", "`$distinct .test.tokens raze"),
        # An index into what is not there.
        ('"B"$(.Q.opt .z.x)[`public][0;0]', "0b"),
    ),
    "timer.q": (
        # A long put into a column of int; an assignment that is returned.
        ("\nid:0\n", "\nid:0i\n"),
        ("{:id+::1}", "{.timer.id:.timer.id+1i; .timer.id}"),
        # A comparison with each row of an empty table; a quotient of timespans; 0 applied.
        (
            "if[count select from timer where fp~/:funcparam;",
            "if[any fp~/:exec funcparam from timer;",
        ),
        ("ceiling(cp-start)%period", 'ceiling("f"$cp-start)%"f"$period'),
        ("@[$[logcall;0;value];", "@[$[logcall;{0 x};value];"),
    ),
}


def files_of(checkout: Path, folder: Path) -> list[Path]:
    """Return TorQ's files in the order that TorQ loads them in, those of SPELLED as copies."""
    order = (checkout / HANDLERS / "order.txt").read_text().split()
    common = (checkout / name for name in (TIMER, API, EXECAS))
    files = [*common, *(checkout / HANDLERS / name for name in order)]
    return [_dotz(checkout, folder), *(_spelled(file, folder) for file in files)]


def script(checkout: Path, folder: Path, settings: str = "") -> str:
    """Return the lines that load TorQ's files into q, after the settings."""
    (folder / "logs").mkdir(exist_ok=True)
    lines = [f"\\l {HERE / 'torq_prelude.q'}", settings]
    lines += [f"\\l {file}" for file in files_of(checkout, folder)]
    return "\n".join([*lines, f"\\l {HERE / 'torq_calls.q'}", ".test.torq:1b", ""])


def permissions(checkout: Path) -> str:
    """Return the line that loads the users, roles and groups that TorQ comes with."""
    return f"\\l {checkout / 'config/permissions/default.q'}\n"


def gateway(checkout: Path) -> str:
    """Return `.gw.syncexec[query;handles]`: what TorQ's gateway asks its servers.

    Its own line, from the middle of a long function of gateway.q. That sends the message at once to
    all of its servers and waits for what they send; here each is asked in turn.
    """
    lines = (checkout / "code/processes/gateway.q").read_text().split("\n")
    (sent,) = (at for at, line in enumerate(lines) if line.startswith(" // to allow parallel"))
    query = lines[sent - 1]
    assert query.startswith(" query:({[u;q]$[`.pm.execas ~ key `.pm.execas"), query
    assert "@[{(1b;.z.p;value x)};x;{(0b;.z.p;x)}]" in lines[sent + 1]
    ask = "{[q;h] h({@[{(1b;.z.p;value x)};x;{(0b;.z.p;x)}]};q)}[query] each handles"
    return f".gw.syncexec:{{[query;handles]\n{query}\n {ask}}}\n"


def environment(folder: Path) -> dict[str, str]:
    """Return where TorQ looks for its files, which are the test's."""
    return {"KDBLOG": str(folder / "logs"), "KDBCONFIG": str(folder)}


def _dotz(checkout: Path, folder: Path) -> Path:
    """Return a file with the part of torq.q in which `.dotz.set` is defined."""
    text = (checkout / "torq.q").read_text()
    begin = text.index("\n\\d .dotz\n")
    own = folder / "torq_dotz_set.q"
    own.write_text(text[begin : text.index("\n\\d . ", begin)] + "\n\\d .\n")
    return own


def _spelled(file: Path, folder: Path) -> Path:
    if file.name not in SPELLED:
        return file
    text = file.read_text()
    for theirs, ours in SPELLED[file.name]:
        assert theirs in text, f"{file} has changed: {theirs!r} is not in it"
        text = text.replace(theirs, ours)
    copy = folder / f"torq_{file.name}"
    copy.write_text(text)
    return copy
