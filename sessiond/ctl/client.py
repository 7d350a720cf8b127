"""Asks the daemon over its control socket."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from grp import getgrgid
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from sessiond.core.errors import SessiondError

TIMEOUT = 30.0  # seconds for an answer; an explained login waits for its issuer
REVOKING = 300.0  # seconds for an answer to a change: of very many sessions at once
SILENCE = 60.0  # seconds; the daemon sends a comment every 15 into an idle stream
PAGE = 1000  # of what is listed, asked for at a time


NOT_RUNNING = (
    "start it: systemctl start sessiond; where it listens elsewhere: --config FILE, --control PATH"
)


class ControlError(SessiondError):
    """Tell the operator and end with `code` (sysexits.h)."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class DaemonAwayError(ControlError):
    """The daemon is not there, or went away; the same may work later."""

    def __init__(self, text: str) -> None:
        super().__init__(text, os.EX_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Told:
    """One event of the stream, or only a place in it."""

    id: int
    kind: str  # empty: no event
    data: str  # JSON


class Client:
    """One connection to a daemon. What it answers are the bodies of its OpenAPI document."""

    def __init__(self, path: str, *, timeout: float = TIMEOUT) -> None:
        self.path = path
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=path, verify=False, trust_env=False),
            base_url="http://sessiond",
            timeout=timeout,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """Return what is there; a path may have its query in it.

        Raises:
            ControlError: There is no daemon, or it refuses.
        """
        return self._ask("GET", path, params=query or None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer to a body, or to none. Raises as `get`."""
        return self._ask("POST", path, json=body, timeout=REVOKING)

    def delete(self, *path: str, **query: str) -> Any:
        """Have something removed; the parts of its path are quoted here. Raises as `get`."""
        return self._ask("DELETE", path_of(*path), params=query or None)

    def sessions(self, **filters: str) -> list[dict[str, Any]]:
        """Return all live sessions that pass the filters. Raises as `get`."""
        return self._listed("sessions", filters)

    def processes(self) -> list[dict[str, Any]]:
        """Return all processes. Raises as `get`."""
        return self._listed("processes", {})

    def stores(self) -> list[dict[str, Any]]:
        """Return all contexts of the token stores. Raises as `get`."""
        return self._listed("stores", {})

    def names(self, *, begin: str = "", most: int | None = None) -> list[dict[str, Any]]:
        """Return the known names that begin so, `most` of them at most. Raises as `get`."""
        return self._listed("names", {"begin": begin} if begin else {}, most)

    def _listed(
        self, what: str, filters: dict[str, str], most: int | None = None
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: dict[str, str] | None = {}
        while after is not None and (most is None or len(found) < most):
            limit = PAGE if most is None else min(PAGE, most - len(found))
            page = self.get(f"/v1/{what}", limit=limit, **filters, **after)
            found += page[what]
            after = None if page["next"] is None else {"after": page["next"]}
        return found

    def events(self, after: int | None) -> Iterator[Told]:
        """Yield events as they happen, until the daemon ends the stream. Raises as `get`."""
        query = {} if after is None else {"after": after}
        timeout = httpx.Timeout(TIMEOUT, read=SILENCE)
        try:
            with self._http.stream("GET", "/v1/events", params=query, timeout=timeout) as response:
                if response.status_code != HTTPStatus.OK:
                    response.read()
                    raise _refused(response)
                yield from told(response.iter_lines())
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = self._http.request(method, path, **content)
        except httpx.TransportError as error:
            raise self._away(error) from error
        if not response.is_success:
            raise _refused(response)
        return response.json() if response.content else None

    def _away(self, error: httpx.TransportError) -> ControlError:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        match cause:
            case PermissionError():
                return ControlError(_not_permitted(self.path), os.EX_NOPERM)
            case FileNotFoundError() | NotADirectoryError():
                return DaemonAwayError(
                    f"no daemon at {self.path}: there is no socket\n{NOT_RUNNING}"
                )
            case ConnectionRefusedError():
                return DaemonAwayError(
                    f"no daemon at {self.path}: nobody listens at what is there\n{NOT_RUNNING}"
                )
            case _ if isinstance(error, httpx.ConnectError):
                return DaemonAwayError(
                    f"no daemon at {self.path}: {error}\n"
                    "name its socket: --config FILE, --control PATH"
                )
            case _ if isinstance(error, httpx.TimeoutException):
                return DaemonAwayError(
                    f"the daemon at {self.path} did not answer in time\n"
                    "see what it is about: journalctl -u sessiond -n 20"
                )
            case _:
                return DaemonAwayError(
                    f"the daemon at {self.path} went away before it had answered ({error})\n"
                    "see whether it runs: systemctl status sessiond"
                )


def _not_permitted(path: str) -> str:
    """Return who may connect to a socket, as far as this user may see that."""
    user = f"user {os.geteuid()} may not connect to {path}"
    try:
        group = Path(path).stat().st_gid
    except OSError:
        return f"{user}\nrun this with sudo, or as a member of listen.control_group"
    with suppress(KeyError):
        return f"{user}\nrun this with sudo, or as a member of group {getgrgid(group).gr_name}"
    return f"{user}\nrun this with sudo, or as a member of group {group}"


def path_of(*parts: str) -> str:
    """Return the parts as one path, each quoted."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def told(lines: Iterable[str]) -> Iterator[Told]:
    """Yield the events of a stream's lines (html.spec.whatwg.org, 9.2.6), places included."""
    members: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            members[name] = value.removeprefix(" ")
        elif "id" in members:
            yield Told(int(members["id"]), members.get("event", ""), members.get("data", ""))
            members = {}
        else:
            members = {}


_CODES = {
    HTTPStatus.BAD_REQUEST: os.EX_USAGE,
    HTTPStatus.FORBIDDEN: os.EX_NOPERM,
    HTTPStatus.NOT_FOUND: os.EX_NOINPUT,
    HTTPStatus.SERVICE_UNAVAILABLE: os.EX_UNAVAILABLE,
}


def _refused(response: httpx.Response) -> ControlError:
    """Return what a problem (RFC 9457) comes to."""
    text = f"the daemon answered {response.status_code}"
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        text = response.json()["detail"]
    return ControlError(text, _CODES.get(HTTPStatus(response.status_code), os.EX_SOFTWARE))
