"""`sessiond-login profiles`: what there is, and what somebody hands out."""

import click

from sessiond_login import places
from sessiond_login.errors import NotSignedIn
from sessiond_login.profiles import added, login_files
from sessiond_login.streams import print_whole
from sessiond_login.terminal import PersonAtTerminal, agrees, printable


@click.group(invoke_without_command=True, short_help="List the profiles; `add` takes more.")
@click.pass_context
def profiles(context: click.Context) -> None:
    """List the profiles, each with its issuer and the file that it stands in."""
    if context.invoked_subcommand is not None:
        return
    found = login_files.load(places.here())
    width = max(map(len, found.profiles))
    for name, profile in sorted(found.profiles.items()):
        print_whole(printable(f"{name:<{width}}  {profile.issuer}  {found.files[name]}"))


@profiles.command(short_help="Add the profiles of an address or a file to yours.")
@click.argument("source")
@click.option("--yes", is_flag=True, help="Take them unasked.")
def add(source: str, yes: bool) -> None:
    """Add the profiles of SOURCE to yours: an https:// address, a file, or - for standard input.

    They are shown first: whoever wrote them says where you sign in, and who gets your tokens.
    """
    person = PersonAtTerminal()
    here = places.here()
    others = login_files.load_system(here.system_profiles).profiles
    offer = added.offered(added.fetched(source), source, here.profiles, others=others)
    for line in added.shown(offer):
        person.tell(line)
    if not yes and not agrees("Add this?"):
        raise NotSignedIn("nothing was added: that takes a y, or --yes")
    added.write(offer)
    person.tell(f"added: {', '.join(sorted(offer.profiles))}")
