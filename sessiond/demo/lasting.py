"""The story's second half: alice stays in over a refresh and a crash, until she is disabled."""

import time
from datetime import datetime

from sessiond.demo.login import Login, check, sessions_of
from sessiond.demo.stage import ALICE, LIFE, SHARE, Stage
from sessiond.demo.telling import Telling


def refresh(stage: Stage, telling: Telling, logins: list[Login]) -> None:
    """One call to the issuer prolongs all sessions, well before they end."""
    telling.step(
        8, f"The tokens are refreshed ahead of time, here at {SHARE * 100:g} % of their {LIFE} s"
    )
    granted = stage.issuer.expect("granted", grant="refresh_token", user=ALICE)
    telling.line(
        "sessiond",
        f"gets alice's next tokens, {granted['at'] - logins[0].at:.1f} s after her login",
    )
    for login in logins:
        told = login.gateway.expect("refreshed", user=ALICE, handle=login.handle)
        expires = datetime.fromisoformat(told["expires"])
        check(expires > login.expires, f"{login.gateway.name} was told no later expiry")
        login.expires = expires
        telling.line(
            login.gateway.name,
            f"keeps handle {login.handle} until {expires:%H:%M:%S}",
            took=told["at"] - granted["at"],
            since="the answer",
        )
    calls = stage.issuer.count("granted", grant="refresh_token", user=ALICE)
    check(calls == 1, f"there were {calls} calls for tokens, not 1 for all sessions")
    telling.line("issuer", "was called once: all three hang on one grant")


def restart(stage: Stage, telling: Telling, logins: list[Login]) -> None:
    """The daemon is killed and comes back; nobody has to log in again."""
    telling.step(9, "The daemon is killed and started again; nothing is lost")
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
        check(reconciled["doomed"] == [], f"{login.gateway.name} was told to close a handle")
        found = sessions_of(login.gateway)
        check(found == [login.session], f"{login.gateway.name}'s session was lost")
        telling.line(
            login.gateway.name,
            "finds her session as it was",
            took=reconciled["at"] - killed_at,
            since="the kill",
        )


def revoke(stage: Stage, telling: Telling, logins: list[Login], behind: Login) -> None:
    """The issuer disables alice; at the next refresh all her handles are closed."""
    telling.step(10, "alice is disabled; sessiond learns of it at the next refresh")
    stage.issuer.tell(do="disable", user=ALICE)
    disabled = stage.issuer.expect("disabled", user=ALICE)
    telling.line("issuer", "disables alice, and tells nobody")
    denied = stage.issuer.expect("denied", grant="refresh_token", user=ALICE)
    later = denied["at"] - disabled["at"]
    telling.line("issuer", f"refuses sessiond's refresh: {denied['error']}, {later:.1f} s later")
    for login in [*logins, behind]:
        closed = login.gateway.expect("closed", user=ALICE, handle=login.handle)
        telling.line(
            login.gateway.name,
            f"closes handle {login.handle}: {closed['reason']}",
            took=closed["at"] - denied["at"],
            since="the answer",
        )
        check(login.client.is_closed(), f"alice's handle at {login.gateway.name} is still open")
        check(sessions_of(login.gateway) == [], f"{login.gateway.name} still has a session")
    telling.line(ALICE, "reads the end of both connections: she is out")
