"""Operators sign in for data sources: begun, handed the issuer's answer, and waited for."""

from functools import partial
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import anyio
import structlog
from msgspec import UNSET, Meta, Struct, UnsetType

from sessiond.control.access import Right
from sessiond.control.operation import Asked, Operation
from sessiond.control.operator import operator_of
from sessiond.control.problem import Problem
from sessiond.control.view import View
from sessiond.core.endpoint import is_loopback
from sessiond.core.errors import IssuerUnavailable, SignInRefused
from sessiond.core.events import Operator, OperatorAuthorized
from sessiond.core.password import MAX_PASSWORD_SIZE
from sessiond.refresher import Tokens
from sessiond.sources.authorizing import Authorizing, SignIn, SourceAuthorizer, TooManySignIns
from sessiond.sources.seeded import Seeded
from sessiond.sources.settings import RunningSource

WAIT = 20.0  # seconds that an answer waits for somebody to have signed in

Parameter = Annotated[str, Meta(max_length=MAX_PASSWORD_SIZE)]

log = structlog.get_logger()


class AuthorizeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the operator signs in."""

    redirect_uri: Annotated[str, Meta(max_length=1024)] | UnsetType = UNSET  # else a device code


class Authorization(Struct, frozen=True, kw_only=True):
    """A sign-in that was begun."""

    id: UUID
    url: str  # to be visited: by a browser, or with the code
    complete_url: str = ""  # the same with the code in it, where there is one
    user_code: str = ""  # of a device
    expires_in: float  # seconds


class IssuersAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the issuer has sent the browser back with (RFC 6749, 4.1.2; RFC 9207)."""

    code: Parameter
    state: Parameter
    iss: Parameter | None = None

    def __repr__(self) -> str:
        return "IssuersAnswer(***)"


class AuthorizationStanding(Struct, frozen=True, kw_only=True):
    """How far a sign-in has come."""

    state: str  # waiting, authorized or failed
    detail: str  # why it failed


async def _begin(view: View, asked: Asked) -> Authorization:
    running, authorizing, authorizer = _authorizer(view, asked)
    request: AuthorizeRequest = asked.body
    name = running.config.name
    keep = partial(_keep, view, running, await operator_of(asked.peer))
    try:
        if request.redirect_uri is UNSET:
            sign_in, prompt = await authorizing.by_device(name, authorizer, keep)
            return Authorization(
                id=sign_in.id,
                url=prompt.url,
                complete_url=prompt.complete_url,
                user_code=prompt.user_code,
                expires_in=prompt.expires_in,
            )
        _check_loopback(request.redirect_uri)
        sign_in, url = await authorizing.by_browser(name, authorizer, keep, request.redirect_uri)
    except SignInRefused as error:
        raise Problem(HTTPStatus.BAD_GATEWAY, str(error)) from error
    except (IssuerUnavailable, TooManySignIns) as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    return Authorization(id=sign_in.id, url=url, expires_in=authorizing.lasts)


async def _answer(view: View, asked: Asked) -> AuthorizationStanding:
    _, authorizing, _ = _authorizer(view, asked)
    sign_in = _sign_in(authorizing, asked)
    said: IssuersAnswer = asked.body
    try:
        await authorizing.redeem(sign_in, code=said.code, state=said.state, iss=said.iss)
    except SignInRefused as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
    return _standing(sign_in)


async def _look(view: View, asked: Asked) -> AuthorizationStanding:
    _, authorizing, _ = _authorizer(view, asked)
    sign_in = _sign_in(authorizing, asked)
    with anyio.move_on_after(WAIT):
        await sign_in.is_over.wait()
    return _standing(sign_in)


async def _keep(view: View, running: RunningSource, by: Operator, tokens: Tokens) -> None:
    """Write what a sign-in has brought, and tell of it."""
    fetching = running.source.fetching
    if not isinstance(fetching, Seeded) or tokens.refresh_token is None:
        return
    name = running.config.name
    told = OperatorAuthorized(at=view.clock.now(), by=by, scope="source", value=name)
    await fetching.keep(tokens.refresh_token, told)
    now = view.sources_now.get(name, running)  # a reload may have put another in its place
    now.source.forget(None)
    log.warning("source authorized", source=name, uid=by.uid)


def _authorizer(view: View, asked: Asked) -> tuple[RunningSource, Authorizing, SourceAuthorizer]:
    running = view.sources_now.get(asked.path["name"])
    if running is None:
        raise Problem(
            HTTPStatus.NOT_FOUND, "there is no such source, wanted the name of a [[source]]"
        )
    if running.authorizer is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"nobody signs in for source {running.config.name}, wanted one with grant "
            "refresh_token and an issuer",
        )
    return running, view.sources.authorizing, running.authorizer


def _sign_in(authorizing: Authorizing, asked: Asked) -> SignIn:
    try:
        found = authorizing.find(asked.path["name"], UUID(asked.path["id"]))
    except ValueError:
        found = None
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no such sign-in is under way: begin anew")
    return found


def _standing(sign_in: SignIn) -> AuthorizationStanding:
    return AuthorizationStanding(state=sign_in.standing.value, detail=sign_in.detail)


def _check_loopback(redirect_uri: str) -> None:
    """See that the code comes back to this machine (RFC 8252, 7.3).

    Raises:
        Problem: It would not.
    """
    try:
        parts = urlsplit(redirect_uri)
        is_here = parts.scheme == "http" and is_loopback(parts.hostname or "")
    except ValueError:
        is_here = False
    if not is_here or not redirect_uri.isascii() or not redirect_uri.isprintable():
        raise Problem(
            HTTPStatus.BAD_REQUEST, "redirect_uri is not on this machine, wanted http://127.0.0.1"
        )


_PATH = "/v1/sources/{name}/authorizations"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path=_PATH,
        summary="Begin an operator's sign-in for a data source, by the browser or a device code",
        carry_out=_begin,
        right=Right.ADMINISTER,
        body=AuthorizeRequest,
        answer=Authorization,
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/{{id}}",
        summary="Hand over what the issuer has sent the browser back with",
        carry_out=_answer,
        right=Right.ADMINISTER,
        body=IssuersAnswer,
        answer=AuthorizationStanding,
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/{{id}}",
        summary="How far a sign-in has come; waits for it for some seconds",
        carry_out=_look,
        right=Right.ADMINISTER,
        answer=AuthorizationStanding,
    ),
)
