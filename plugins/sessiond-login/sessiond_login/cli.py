"""The command line. Here alone errors become exit codes (sysexits.h)."""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import click

from sessiond_login import __version__, composition
from sessiond_login.credentials import password_of, refresh_sent
from sessiond_login.errors import LoginError, UsageRefused
from sessiond_login.faults import show_no_values
from sessiond_login.limits import DAEMON
from sessiond_login.profile_commands import profiles
from sessiond_login.signing_out import told
from sessiond_login.status import as_lines, as_object, length_of, until
from sessiond_login.streams import keep_from_others, print_whole
from sessiond_login.terminal import PersonAtTerminal

PROGRAM = "sessiond-login"
EX_USAGE = 64
EX_INTERRUPTED = 130  # what a shell says of a program that SIGINT ended
Command = TypeVar("Command", bound=Callable[..., object])


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command that args name, and exit."""
    show_no_values()
    keep_from_others()
    try:
        sys.exit(program.main(args, prog_name=PROGRAM, standalone_mode=False))
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show(sys.stderr or io.StringIO())
        sys.exit(EX_USAGE)
    except (click.Abort, KeyboardInterrupt):
        tell("given up")
        sys.exit(EX_INTERRUPTED)
    except LoginError as error:
        tell(str(error))
        sys.exit(error.exit_code)


def tell(words: str) -> None:
    """Say something to the person."""
    PersonAtTerminal().tell(f"{PROGRAM}: {words}")


@dataclass(slots=True)
class Asked:
    """What may stand before a command or behind it."""

    profile: str | None = None
    device: bool = False


def _profile_option(command: Command) -> Command:
    return click.option(
        "--profile",
        metavar="NAME",
        expose_value=False,
        callback=_note_profile,
        help="The table [profile.NAME] of login.toml; not needed where there is one.",
    )(command)


def _device_option(command: Command) -> Command:
    return click.option(
        "--device",
        is_flag=True,
        expose_value=False,
        callback=_note_device,
        help="Sign in by a code, which is entered in a browser anywhere.",
    )(command)


def _note_profile(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Asked).profile = value


def _note_device(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Asked).device = True


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@_profile_option
@_device_option
@click.option("--again", is_flag=True, help="Sign in anew, though the tokens are good.")
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def program(context: click.Context, again: bool) -> None:
    """Sign in for kdb+, and give clients of q what goes there in the place of a password.

    Without a command: sign in, and keep the tokens.
    """
    asked = context.ensure_object(Asked)
    if context.invoked_subcommand is None:
        _sign_in(asked, again=again)
    elif again:
        raise click.UsageError("--again signs in, and so takes no command")


def _sign_in(asked: Asked, *, again: bool) -> None:
    chosen = composition.tokens_of(asked.profile, device=asked.device)
    kept = chosen.sign_in(again=again)
    tell(f"signed in as {kept.user} until {until(kept.expires, chosen.now())}")
    if length_of(kept, chosen.profile) > DAEMON:  # what else is too long, for whom, `status` says
        for sentence in composition.limits(kept, chosen.profile):
            tell(sentence)


@program.command(short_help="Print what goes to q in the place of a password.")
@_profile_option
@_device_option
@click.option("--json", "as_json", is_flag=True, help="User, tokens and expiry, as one object.")
@click.option("--show", is_flag=True, help="Even onto a terminal.")
@click.pass_obj
def token(asked: Asked, as_json: bool, show: bool) -> None:
    """Print what goes to q in the place of a password, signing in where that is needed.

    Into a pipe or a file. What is printed is the client's: a refresh token in it is not used here.
    """
    if not show and sys.stdout is not None and sys.stdout.isatty():
        raise UsageRefused(
            "a token is not printed on a terminal, which keeps what it has shown: pipe it into "
            "what uses it, or say --show"
        )
    chosen = composition.tokens_of(asked.profile, device=asked.device)
    kept = chosen.give()
    password = password_of(kept, chosen.profile)
    members = {
        "user": kept.user,
        "token": kept.access.reveal(),
        "refresh": refresh_sent(kept, chosen.profile),
        "password": password,
        "expires": int(kept.expires),
    }
    print_whole(json.dumps(members) if as_json else password)


@program.command(short_help="Show who is signed in, and until when.")
@_profile_option
@click.option("--json", "as_json", is_flag=True, help="As a list of objects.")
@click.pass_obj
def status(asked: Asked, as_json: bool) -> None:
    """Show who is signed in, until when, and what clients send."""
    statuses, now = composition.statuses(asked.profile), composition.now()
    if as_json:
        print_whole(json.dumps([as_object(each, now) for each in statuses], indent=2))
        return
    print_whole("\n\n".join("\n".join(as_lines(each, now)) for each in statuses))


@program.command(short_help="Sign out, and forget the tokens.")
@_profile_option
@click.pass_obj
def logout(asked: Asked) -> None:
    """Sign out: take the grant back at the issuer, and forget the tokens.

    The sessions that the daemon refreshes with a refresh token that was handed over end with it.
    """
    ended = composition.sign_out(asked.profile)
    tell(told(ended))
    if ended is not None and ended.trouble is not None:
        raise ended.trouble


program.add_command(profiles)
