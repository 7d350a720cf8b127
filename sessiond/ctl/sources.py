"""The data sources: how each stands, and the sign-in that brings one its first refresh token.

The daemon is the client, and spends the code. Here a page is opened and what the browser comes back
with is handed on: neither a token nor what proves the client is ever in this process.
"""

import hmac
import os
import time
import webbrowser
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click

from sessiond.ctl import show
from sessiond.ctl.asking import as_json, asked, print_found
from sessiond.ctl.client import Client, ControlError, path_of
from sessiond.ctl.coming_back import ComingBack
from sessiond.ctl.completion import sources as names
from sessiond.ctl.lists import sources_of
from sessiond.terminal import HelpfulGroup

AGAIN = 0.5  # seconds between two looks that the daemon answers at once
_DISPLAYS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


@click.group(cls=HelpfulGroup, invoke_without_command=True)
@as_json
@click.pass_context
def sources(context: click.Context, as_json: bool) -> None:
    """Show how each data source stands, or sign in for one.

    STATE is ready (a token is in memory), idle (nobody has asked for one), unauthorized (there is
    no refresh token yet), or why the last call brought none: refused, unavailable, throttled.
    """
    if context.invoked_subcommand is None:
        context.invoke(_list, as_json=as_json)


@click.command()
@as_json
@asked
def _list(client: Client, as_json: bool) -> None:
    found = client.get("/v1/sources")
    print_found(found, as_json, *sources_of(found["sources"]))


@sources.command()
@click.argument("name", shell_complete=names)
@click.option("--device/--browser", default=None, help="How; else the browser, where there is one.")
@click.option(
    "--port", metavar="N", type=click.IntRange(1, 65535), help="Where the browser comes back to."
)
@as_json
@asked
def authorize(
    client: Client, name: str, device: bool | None, port: int | None, as_json: bool
) -> None:
    """Sign in for a source, and so bring it its first refresh token.

    By the browser the client needs the redirect URI http://127.0.0.1/, with whatever port,
    or the one of --port. It takes the place of the refresh token that is there. The daemon keeps
    it; nothing of it is shown. It ends with 77 where the issuer refuses, or nobody signs in.
    """
    if device is None:
        device = port is None and not any(os.environ.get(each) for each in _DISPLAYS)
    standing = _by_device(client, name) if device else _by_browser(client, name, port or 0)
    if standing["state"] != "authorized":
        detail = standing["detail"] or "nobody has signed in in time"
        raise ControlError(f"{name} is not authorized: {detail}", os.EX_NOPERM)
    print_found({"authorized": name}, as_json, show.plain(f"{name} is authorized"))


def _by_device(client: Client, name: str) -> Mapping[str, Any]:
    begun = client.post(path_of("v1", "sources", name, "authorizations"), {})
    code = show.plain(begun["user_code"])
    click.echo(f"Visit {show.plain(begun['url'])} and enter the code: {code}", err=True)
    if begun["complete_url"]:
        click.echo(f"or visit {show.plain(begun['complete_url'])}", err=True)
    click.echo(f"The code is good for {begun['expires_in'] / 60:.0f} min.", err=True)
    return _over(client, name, begun)


def _by_browser(client: Client, name: str, port: int) -> Mapping[str, Any]:
    try:
        coming_back = ComingBack(port)
    except OSError as error:
        raise ControlError(
            f"nobody can come back to port {port}: {error.strerror}; give another --port",
            os.EX_UNAVAILABLE,
        ) from error
    with coming_back:
        path = path_of("v1", "sources", name, "authorizations")
        begun = client.post(path, {"redirect_uri": coming_back.redirect_uri})
        click.echo(f"Sign in at {show.plain(begun['url'])}", err=True)
        webbrowser.open(begun["url"])
        answered: dict[str, Any] = {}
        state = dict(parse_qsl(urlsplit(begun["url"]).query)).get("state", "")

        def take(params: Mapping[str, str]) -> bool | None:
            if not hmac.compare_digest(params.get("state", "").encode(), state.encode()):
                return None
            standing = _taken(client, f"{path}/{begun['id']}", params)
            answered.update(standing or {})
            return None if standing is None else standing["state"] == "authorized"

        coming_back.wait(take, seconds=begun["expires_in"])
    return answered or {"state": "failed", "detail": ""}


def _taken(client: Client, path: str, params: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return what an answer comes to, by the daemon's word; None: it is another sign-in's."""
    if "code" not in params:
        error = params.get("error")
        said = {"state": "failed", "detail": f"the issuer says {error}"}
        return None if error is None else said
    body = {name: params[name] for name in ("code", "state", "iss") if name in params}
    try:
        standing: Mapping[str, Any] = client.post(path, body)
    except ControlError as error:
        if error.code == os.EX_USAGE:  # 400: not the answer to this one
            click.echo(show.plain(str(error)), err=True)
            return None
        raise
    return standing


def _over(client: Client, name: str, begun: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a sign-in ends; the daemon holds each question until it has news."""
    path = path_of("v1", "sources", name, "authorizations", begun["id"])
    until = time.monotonic() + begun["expires_in"]  # noqa: TID251 - a person's time
    while True:
        standing: Mapping[str, Any] = client.get(path)
        if standing["state"] != "waiting" or time.monotonic() > until:  # noqa: TID251
            return standing
        time.sleep(AGAIN)  # noqa: TID251 - for people, who live in real time
