"""The story that `sessiond demo` tells: each step is done by real processes, and checked."""

import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import httpx

from sessiond import __version__
from sessiond.demo.actor import Actor, StepFailedError
from sessiond.demo.issuer import PASSWORDS
from sessiond.demo.stage import LIFE, PORT, Stage
from sessiond.demo.telling import Telling
from sessiond.demo.users import Tokens, renamed, sign_in

ALICE, BOB = "alice", "bob"
OTHER_API = "api://payroll"


@dataclass(slots=True)
class Login:
    """A session as its q process knows it."""

    gateway: Actor
    session: str
    handle: int
    expires: datetime
    at: float  # monotonic seconds


def main() -> int:
    """Tell the story; return 0, or 1 when a step of it did not happen."""
    telling = Telling()
    earlier = signal.signal(signal.SIGTERM, _leave)
    try:
        with (
            TemporaryDirectory(prefix="sessiond-demo-") as folder,
            Stage(Path(folder)) as stage,
        ):
            try:
                _tell(stage, telling)
            except (StepFailedError, httpx.HTTPError) as error:
                telling.failed(str(error), stage.log())
                return 1
    finally:
        signal.signal(signal.SIGTERM, earlier)
    return 0


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)  # as a shell says it; on the way out everybody is stopped


def _tell(stage: Stage, telling: Telling) -> None:
    telling.title(f"sessiond {__version__} at work: real processes, real kdb+ IPC, made-up users")
    stage.set_up()
    telling.line("issuer", f"is up at {stage.url}; its access tokens live {LIFE} s")
    telling.line("sessiond", f"is ready, its SQLite database in {stage.folder}")
    prove(stage, telling)
    tokens = sign_in(stage.url, ALICE)
    logins = log_in(stage, telling, tokens)
    refusals = refuse(stage, telling)
    refresh(stage, telling, logins)
    restart(stage, telling, logins)
    revoke(stage, telling, logins)
    code = stage.daemon.stop()
    _check(code == 0, f"sessiond ended with {code}, not 0, on SIGTERM")
    telling.end(
        f"All of it happened, in {telling.seconds:.1f} s: {len(logins)} logins on one grant, "
        f"{refusals} refusals, 1 refresh for both, 1 crash with nothing lost, 1 revocation."
    )


def prove(stage: Stage, telling: Telling) -> None:
    """Both q processes find the daemon and make it prove that it knows the key."""
    telling.step(1, "The daemon proves itself, before it is given any token")
    for gateway in stage.gateways:
        connected = gateway.expect("connected")
        gateway.expect("reconciled", held=0)
        telling.line(
            gateway.name,
            f"opens `:unix://{PORT}; {connected['server']} proves that it knows the key",
            took=connected["took"],
        )


def log_in(stage: Stage, telling: Telling, tokens: Tokens) -> list[Login]:
    """Alice logs in at both gateways with the same tokens."""
    telling.step(2, "alice logs in at both gateways, with one pair of tokens")
    telling.line(ALICE, "signs in at the issuer and gets an access token and a refresh token")
    logins: list[Login] = []
    for gateway in stage.gateways:
        gateway.tell(do="login", user=ALICE, password=tokens.password)
        accepted = gateway.expect("accepted", user=ALICE)
        _check(accepted["roles"] == ["reader"], f"{ALICE} has the roles {accepted['roles']}")
        expires = datetime.fromisoformat(accepted["expires"])
        telling.line(
            gateway.name,
            f"lets alice in on handle {accepted['handle']} as {accepted['roles'][0]}, until "
            f"{expires:%H:%M:%S}",
            took=accepted["took"],
        )
        login = Login(gateway, accepted["session"], accepted["handle"], expires, accepted["at"])
        logins.append(login)
    return logins


def refuse(stage: Stage, telling: Telling) -> int:
    """What should not get in does not; return how many attempts there were."""
    telling.step(3, "What should not get in does not")
    gateway = stage.gateways[0]
    bobs = sign_in(stage.url, BOB).access
    others = sign_in(stage.url, ALICE, resource=OTHER_API).access
    attempts = [
        ("alice's plain password", PASSWORDS[ALICE], "nottoken", False),
        ("alice's token for another program", others.reveal(), "wrongaudience", True),
        (
            "bob's token with alice's name written in",
            renamed(bobs, ALICE).reveal(),
            "badsignature",
            True,
        ),
        ("bob's own token under alice's name", bobs.reveal(), "usermismatch", True),
    ]
    for what, password, reason, sent in attempts:
        gateway.tell(do="login", user=ALICE, password=password)
        refused = gateway.expect("refused", user=ALICE, reason=reason, sent=sent)
        where = "" if sent else ", and it never leaves q"
        telling.line(gateway.name, f"refuses {what}: {reason}{where}", took=refused.get("took"))
    stage.daemon.expect("login", outcome="refused", reason=attempts[-1][2])
    _check(not stage.daemon.count("login", reason="nottoken"), "a plain password left q")
    return len(attempts)


def refresh(stage: Stage, telling: Telling, logins: list[Login]) -> None:
    """One call to the issuer prolongs both sessions, well before they end."""
    telling.step(4, f"The tokens are refreshed ahead of time, at about 60 % of their {LIFE} s")
    granted = stage.issuer.expect("granted", grant="refresh_token", user=ALICE)
    telling.line(
        "sessiond",
        f"gets alice's next tokens, {granted['at'] - logins[0].at:.1f} s after her login",
    )
    for login in logins:
        told = login.gateway.expect("refreshed", user=ALICE, handle=login.handle)
        expires = datetime.fromisoformat(told["expires"])
        _check(expires > login.expires, f"{login.gateway.name} was told no later expiry")
        login.expires = expires
        telling.line(
            login.gateway.name,
            f"is told that handle {login.handle} is good until {expires:%H:%M:%S}",
            took=told["at"] - granted["at"],
            since="the issuer's answer",
        )
    calls = stage.issuer.count("granted", grant="refresh_token", user=ALICE)
    _check(calls == 1, f"there were {calls} calls for tokens, not 1 for both sessions")
    telling.line("issuer", "was called once: both sessions hang on one grant")


def restart(stage: Stage, telling: Telling, logins: list[Login]) -> None:
    """The daemon is killed and comes back; nobody has to log in again."""
    telling.step(5, "The daemon is killed and started again; nothing is lost")
    killed_at = time.monotonic()
    telling.line("kill -9", f"hits sessiond, process {stage.daemon.pid}")
    stage.daemon.kill()
    for login in logins:
        login.gateway.expect("lost", held=1)
        telling.line(login.gateway.name, f"loses sessiond; alice stays on handle {login.handle}")
    stage.start_daemon()
    telling.line(
        "sessiond",
        f"is ready again, process {stage.daemon.pid}",
        took=time.monotonic() - killed_at,
        since="the kill",
    )
    for login in logins:
        reconciled = login.gateway.expect("reconciled", held=1)
        _check(reconciled["doomed"] == [], f"{login.gateway.name} was told to close a handle")
        found = _sessions(login.gateway)
        _check(found == [login.session], f"{login.gateway.name}'s session was lost")
        telling.line(
            login.gateway.name,
            "reconciles: the same session, nothing to close",
            took=reconciled["at"] - killed_at,
            since="the kill",
        )


def revoke(stage: Stage, telling: Telling, logins: list[Login]) -> None:
    """The issuer disables alice; at the next refresh both her handles are closed."""
    telling.step(6, "The issuer disables alice; sessiond learns of it at the next refresh")
    stage.issuer.tell(do="disable", user=ALICE)
    disabled = stage.issuer.expect("disabled", user=ALICE)
    telling.line("issuer", "disables alice, and tells nobody")
    denied = stage.issuer.expect("denied", grant="refresh_token", user=ALICE)
    telling.line(
        "issuer",
        f"refuses sessiond's refresh: {denied['error']}, {denied['at'] - disabled['at']:.1f} s "
        "after it disabled alice",
    )
    for login in logins:
        closed = login.gateway.expect("closed", user=ALICE, handle=login.handle)
        telling.line(
            login.gateway.name,
            f"is pushed `revoked` and closes alice's handle {login.handle}: {closed['reason']}",
            took=closed["at"] - denied["at"],
            since="the issuer's answer",
        )
        _check(_sessions(login.gateway) == [], f"{login.gateway.name} still has a session")


def _sessions(gateway: Actor) -> list[str]:
    """Return the sessions that the daemon has of a q process."""
    gateway.tell(do="sessions")
    found: list[str] = gateway.expect("sessions")["sessions"]
    return found


def _check(it_holds: bool, otherwise: str) -> None:
    if not it_holds:
        raise StepFailedError(otherwise)
