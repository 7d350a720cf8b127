"""The story's first half: alice gets a token, and in with it; others do not."""

from contextlib import ExitStack
from datetime import datetime

from sessiond.core.secret import Secret
from sessiond.demo.actor import Actor, StepFailedError
from sessiond.demo.client import Client, TurnedAwayError
from sessiond.demo.issuer import PASSWORDS
from sessiond.demo.login import Login, check
from sessiond.demo.person import Brought, answer_device
from sessiond.demo.stage import ALICE, PORT, Stage
from sessiond.demo.telling import Telling
from sessiond.demo.users import renamed, sign_in
from sessiond.qipc import symbol

BOB = "bob"
OTHER_API = "api://payroll"
PROMPT = r"^Visit (https?://\S+) and enter the code: (\S+)$"
IN_A_BROWSER = 190.0  # seconds; sessiond-login itself gives up after 180


def prove(stage: Stage, telling: Telling) -> dict[str, int]:
    """Both q processes have the daemon prove that it knows the key; return their ports."""
    telling.step(1, "The daemon proves itself, before it is given any token")
    ports: dict[str, int] = {}
    for gateway in stage.gateways:
        ports[gateway.name] = gateway.expect("listening")["port"]
        took = gateway.expect("connected")["took"]
        gateway.expect("reconciled", held=0)
        telling.line(gateway.name, f"has sessiond prove its key at `:unix://{PORT}", took=took)
    return ports


def sign_in_alice(stage: Stage, telling: Telling, *, by_browser: bool) -> None:
    """Alice, who has no token, gets hers from the issuer with `sessiond-login`."""
    telling.step(2, "alice has no token yet: she signs in, as on a machine of her own")
    stage.write_profile()
    telling.line("sessionctl", "client-profile writes her profile from sessiond's file")
    if by_browser:
        _in_a_browser(stage, telling)
    else:
        _with_a_code(stage, telling)


def log_in(stage: Stage, telling: Telling, ports: dict[str, int], open_: ExitStack) -> list[Login]:
    """Alice's clients bring both q processes the same tokens; they are closed with `open_`."""
    telling.step(3, "Her tokens go to both gateways, in the place of a password")
    brought = stage.alice.token()
    size = len(brought.password.reveal())
    telling.line(ALICE, f"her client runs `sessiond-login token --json`: {size} bytes")
    logins: list[Login] = []
    for gateway in stage.gateways:
        port = ports[gateway.name]
        client = open_.enter_context(_let_in(gateway, port, brought))
        accepted = gateway.expect("accepted", user=ALICE)
        check(accepted["roles"] == ["reader"], f"{ALICE} has the roles {accepted['roles']}")
        check(client.ask(".z.u") == symbol(ALICE), f"{gateway.name} takes alice for another")
        expires = datetime.fromisoformat(accepted["expires"])
        handle = accepted["handle"]
        telling.line(ALICE, f"connects to {gateway.name}, `::{port}:alice:...")
        telling.line(
            gateway.name,
            f"lets her in: reader, handle {handle}, until {expires:%H:%M:%S}",
            took=accepted["took"],
        )
        logins.append(Login(gateway, client, accepted["session"], handle, expires, accepted["at"]))
    return logins


def refuse(stage: Stage, telling: Telling, ports: dict[str, int]) -> int:
    """What should not get in does not; return how many attempts there were."""
    telling.step(4, "What should not get in does not")
    gateway = stage.gateways[0]
    bobs = sign_in(stage.url, BOB).access
    others = sign_in(stage.url, ALICE, resource=OTHER_API).access
    attempts = [
        ("her plain password", Secret(PASSWORDS[ALICE]), "nottoken", False),
        ("her token for payroll", others, "wrongaudience", True),
        ("bob's token, renamed alice", renamed(bobs, ALICE), "badsignature", True),
        ("bob's own token", bobs, "usermismatch", True),
    ]
    for what, password, reason, sent in attempts:
        _try(ports[gateway.name], password)
        refused = gateway.expect("refused", user=ALICE, reason=reason, sent=sent)
        where = "" if sent else "; it never leaves q"
        telling.line(gateway.name, f"refuses {what}: {reason}{where}", took=refused.get("took"))
    stage.daemon.expect("login", outcome="refused", reason=attempts[-1][2])
    check(not stage.daemon.count("login", reason="nottoken"), "a plain password left q")
    return len(attempts)


def _with_a_code(stage: Stage, telling: Telling) -> None:
    """She types the code that her program shows into the issuer's page (RFC 8628)."""
    with stage.alice.running("--device") as program:
        telling.line(ALICE, "runs `sessiond-login --device`, and reads:")
        prompt = program.reads(PROMPT, "the code to enter")
        telling.quote(prompt[0])
        answer_device(prompt[1], prompt[2], user=ALICE, password=PASSWORDS[ALICE])
        telling.line(ALICE, "enters the code there, with her name and her password")
        _granted(stage.issuer, "urn:ietf:params:oauth:grant-type:device_code", telling)
        program.output(IN_A_BROWSER)


def _in_a_browser(stage: Stage, telling: Telling) -> None:
    """Whoever watches signs in as alice, in his own browser (RFC 8252)."""
    telling.line(ALICE, f"is you: sign in as {ALICE}, with the password {PASSWORDS[ALICE]}")
    with stage.alice.running(with_browser=True) as program:
        telling.line(ALICE, "runs `sessiond-login`, which opens your browser")
        for line in program.words(IN_A_BROWSER):
            telling.quote(line)
        program.output(IN_A_BROWSER)
        _granted(stage.issuer, "authorization_code", telling)


def _granted(issuer: Actor, grant: str, telling: Telling) -> None:
    user = issuer.expect("granted", grant=grant)["user"]
    check(user == ALICE, f"it was {user} who signed in, not {ALICE}")
    telling.line("issuer", "gives her program an access token and a refresh token")


def _let_in(gateway: Actor, port: int, brought: Brought) -> Client:
    """Return alice's client, which a gateway has let in."""
    try:
        return Client(port, brought.user, brought.password)
    except TurnedAwayError as error:
        reason = gateway.expect("refused", user=ALICE)["reason"]
        raise StepFailedError(f"{gateway.name} refuses alice: {reason}") from error


def _try(port: int, password: Secret) -> None:
    """Try to get in as alice; nobody should."""
    try:
        Client(port, ALICE, password).close()
    except TurnedAwayError:
        return
    raise StepFailedError("somebody got in who should not")
