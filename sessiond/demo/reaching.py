"""The story's middle: tokens for others. A ticket, a source's token, a token store."""

from sessiond.demo.issuer import FEEDS, RISK
from sessiond.demo.login import Login, check
from sessiond.demo.stage import ALICE, BEHIND, QUOTES, Stage
from sessiond.demo.telling import Telling
from sessiond.qipc import QError, Table, symbol

GRANT = "client_credentials"


def introduce(stage: Stage) -> None:
    """Tell the first gateway where rdb1 is, before anybody asks it."""
    port = stage.rdb.expect("listening")["port"]
    stage.gateways[0].tell(do="behind", type="rdb", name=BEHIND, port=str(port))
    stage.gateways[0].expect("knows", name=BEHIND)


def go_on(stage: Stage, telling: Telling, login: Login) -> Login:
    """Alice asks a gateway for what rdb1 has; return her session there."""
    telling.step(5, "At rdb1 she is herself as well, by a ticket, and signs in nowhere")
    telling.line(ALICE, f"asks {login.gateway.name} for what {BEHIND} has: .asuser.query")
    answer = login.client.ask('.asuser.query[`rdb;".z.u"]')
    check(answer == symbol(ALICE), f"{BEHIND} takes alice for another: {_said(answer)}")
    accepted = stage.rdb.expect("accepted", user=ALICE)
    check(accepted["roles"] == ["reader"], f"she has the roles {accepted['roles']} at {BEHIND}")
    telling.line(login.gateway.name, "gets her a ticket for it, good once and for 30 s")
    telling.line(
        BEHIND,
        f"lets her in: reader, handle {accepted['handle']}; .z.u is alice",
        took=accepted["took"],
    )
    trade = login.client.ask('.asuser.query[`rdb;"trade"]')
    check(isinstance(trade, Table), f"{BEHIND} shows no table: {_said(trade)}")
    telling.line(ALICE, "reads `trade` there, on the same handle")
    return Login(
        stage.rdb,
        login.client,
        accepted["session"],
        accepted["handle"],
        login.expires,
        accepted["at"],
    )


def read_a_source(stage: Stage, telling: Telling) -> None:
    """A feed reads a source over HTTP that wants the issuer's token for it."""
    telling.step(6, "A feed reads a source that wants a token; sessiond gets it one")
    url = stage.source.expect("ready")["url"]
    stage.feed.expect("connected")
    for says in ("asks for its token, and reads {} quotes", "reads {} again, by that from memory"):
        stage.feed.tell(do="fetch", source=QUOTES, url=url)
        fetched = stage.feed.expect("fetched")
        read = stage.source.expect("read")
        check(read["client"] == FEEDS, f"the source was read by {read['client']}, not {FEEDS}")
        telling.line(stage.feed.name, says.format(fetched["rows"]), took=fetched["took"])
    calls = stage.issuer.count("granted", grant=GRANT, user=FEEDS)
    check(calls == 1, f"there were {calls} calls for the token of the source, not 1 for both")
    telling.line("issuer", f"gave sessiond one token for {FEEDS}: client credentials")


def share(stage: Stage, telling: Telling) -> None:
    """Two programs want the same token at the same time, and one of them signs in."""
    telling.step(7, "Two programs share a token store: one of them signs in")
    for program in stage.sharers:
        program.expect("ready")
    for program in stage.sharers:
        program.tell(do="go")
    found = [program.expect("has") for program in stage.sharers]
    ways = sorted(each["how"] for each in found)
    check(ways.count("signed-in") == 1, f"they came by their token so: {', '.join(ways)}")
    check(found[0]["token"] == found[1]["token"], "they have two tokens")
    words = {
        "signed-in": "finds none, locks, signs in, writes, releases",
        "waited": "waits for the lock, reads again: there it is",
        "read": "reads: there it is",
    }
    for program, has in sorted(
        zip(stage.sharers, found, strict=True), key=lambda each: each[1]["how"] != "signed-in"
    ):
        telling.line(program.name, words[has["how"]], took=has["took"])
    calls = stage.issuer.count("granted", grant=GRANT, user=RISK)
    check(calls == 1, f"the issuer was called {calls} times for {RISK}")
    telling.line("issuer", "was called once for both")


def read_again(stage: Stage, telling: Telling) -> None:
    """What a program has written is there after the daemon's death."""
    program = stage.sharers[0]
    program.tell(do="go")
    has = program.expect("has")
    check(has["how"] == "read", f"{program.name}'s token was lost: it {has['how']}")
    telling.line(program.name, "reads the token that it had written", took=has["took"])


def _said(answer: object) -> str:
    return answer.text if isinstance(answer, QError) else "something else"
