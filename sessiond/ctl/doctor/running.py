"""The daemon as it says itself that it stands."""

from collections.abc import Iterator
from typing import Any

from sessiond import __version__
from sessiond.ctl.client import Client, ControlError, DaemonAwayError
from sessiond.ctl.doctor.finding import Finding, ok, warning, wrong
from sessiond.ctl.show import hooks_of, moment


def running(socket: str) -> Iterator[Finding]:
    """Ask the daemon, and judge what it answers."""
    with Client(socket, timeout=5.0) as client:
        try:
            status = client.get("/v1/status")
        except DaemonAwayError as error:
            yield wrong("daemon", str(error), "start it: systemctl start sessiond")
            return
        except ControlError as error:
            yield warning("daemon", str(error), "run this as root, or as a control reader")
            return
    version = status["version"]
    if version != __version__:  # nobody knows what its answers mean
        found = f"it runs {version}, sessionctl is {__version__}"
        yield warning("daemon", found, "restart the daemon, or install one version of both")
        return
    yield from _standing(status)
    yield from _configuration(status["configuration"])
    yield from _hooks(status)
    yield from _issuers(status)
    yield from _subscribers(status["subscribers"])
    yield from _sources(status["sources"])
    yield from _tickets(status)


def _standing(status: dict[str, Any]) -> Iterator[Finding]:
    if status["ready_at"] is None:
        yield warning("daemon", f"{__version__}, not ready yet", "look again in a moment")
    else:
        yield ok("daemon", f"{__version__}, ready since {moment(status['ready_at'])}")
    if status["refused_connections"]:
        found = f"{status['refused_connections']} connections refused since the start"
        yield warning("q processes", found, "its log says whose; see listen.allow_users")


def _configuration(configuration: dict[str, Any]) -> Iterator[Finding]:
    if configuration["last_error"]:
        found = f"the newest file is not applied: {configuration['last_error']}"
        yield wrong("configuration", found, "mend it, then: systemctl reload sessiond")
    elif configuration["needs_restart"]:
        found = f"changed, but not applied: {', '.join(configuration['needs_restart'])}"
        advice = "systemctl restart sessiond"
        if any(key.startswith("listen.") for key in configuration["needs_restart"]):
            advice = "sockets are systemd's: install-units again, stop all four units, start"
        yield warning("configuration", found, advice)


def _hooks(status: dict[str, Any]) -> Iterator[Finding]:
    hooks = status["hooks"]
    if not hooks:
        yield warning("q processes", "none is connected", "load sessiond.q in one")
    elif set(hooks) == {status["version"]}:
        yield ok("q processes", f"hook: {hooks_of(hooks)}")
    else:
        found = f"hook: {hooks_of(hooks)}; the daemon is {status['version']}"
        yield warning("q processes", found, "load the daemon's sessiond.q at their next start")


def _issuers(status: dict[str, Any]) -> Iterator[Finding]:
    for each in status["issuers"]:
        if not each["healthy"]:
            yield wrong(f"{each['name']} logins", each["trouble"], "see what it answers, above")
    for each in status["role_sources"]:
        if not each["healthy"]:
            found = f"logins at {each['issuer']} that need it are refused: {each['last_error']}"
            is_plugin = bool(each["plugin"])  # else Microsoft Graph, whose errors say what to do
            to_do = (
                f"see to plugin {each['plugin']}" if is_plugin else "see docs/issuers.md, overage"
            )
            yield wrong(f"role source {each['name']}", found, to_do)


def _subscribers(subscribers: list[dict[str, Any]]) -> Iterator[Finding]:
    for each in subscribers:
        check = f"subscriber {each['name']}"
        found = f"{each['state']}, {each['lag']} events behind, {each['restarts']} restarts"
        if each["set_aside"]:
            advice = f"mend it, then: sessionctl subscribers --retry {each['name']}"
            said = f"{each['set_aside']} events are set aside: {each['last_error']}"
            yield warning(check, said, advice)
        elif each["state"] != "running":
            advice = f"mend it: {each['last_error'] or 'the log says why'}"
            yield warning(check, found, advice)
        else:
            yield ok(check, found)


def _sources(sources: list[dict[str, Any]]) -> Iterator[Finding]:
    for each in sources:
        if not each["healthy"]:
            advice = f"see to it, or sign in: sessionctl sources authorize {each['name']}"
            yield wrong(f"source {each['name']}", each["last_error"], advice)


def _tickets(status: dict[str, Any]) -> Iterator[Finding]:
    tickets = status["tickets"]
    if tickets is None:
        return
    signing = [each for each in tickets["keys"] if each["is_signing"]]
    if not signing:
        found = "no key signs them, so that there are none"
        yield wrong("tickets", found, "see `ticket keys put off` in the log, and the disk")
    else:
        found = f"{tickets['issuer']} signs with {signing[0]['kid'][:8]} since "
        yield ok("tickets", found + moment(signing[0]["signs_at"]))
