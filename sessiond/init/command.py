"""The command line of `sessiond init`: each question is an option too."""

from pathlib import Path
from typing import Any

import click

DEFAULT = Path("/etc/sessiond/config.toml")  # that the unit names


@click.command()
@click.option("--issuer", metavar="URL", help="The issuer; its metadata is looked up there.")
@click.option(
    "--entra",
    metavar="TENANT",
    help="In its place: an Entra tenant's id or domain, or its URL in another cloud.",
)
@click.option(
    "--audience",
    "--api",
    metavar="ID",
    multiple=True,
    help="What tokens for kdb+ are issued for; at Entra, the client id of the API.",
)
@click.option("--program", metavar="ID", help="The client that users sign in with.")
@click.option("--scope", metavar="SCOPE", help="A scope that each access token must have.")
@click.option(
    "--role",
    metavar="VALUE=ROLE",
    multiple=True,
    help="What a value in the token makes of its user; - is none, and everybody may log in.",
)
@click.option("--q-user", metavar="USER", help="Who q runs as, by name or number.")
@click.option("--q-group", metavar="GROUP", help="Who reads the proof key; else that user's group.")
@click.option("--name", metavar="NAME", help="What logs and sessions call the issuer.")
@click.option(
    "--verify",
    type=click.Choice(["jwt", "introspection", "userinfo"]),
    help="How tokens are verified; else as the issuer's metadata allows.",
)
@click.option("--client-id", metavar="ID", help="sessiond's own client, for introspection.")
@click.option("--ca-file", metavar="FILE", default="", help="The issuer's authorities, PEM.")
@click.option("--insecure-http", is_flag=True, help="Allow http:// on this machine: for tests.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=DEFAULT,
    show_default=True,
    help="What to write; the proof key goes beside it.",
)
@click.option(
    "--root",
    default="/",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="What stands for / (an image to be).",
)
@click.option("--offline", is_flag=True, help="Do not look the issuer up.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--force", is_flag=True, help="Replace a configuration, which is kept as FILE.old.")
@click.option("--yes", is_flag=True, help="Ask nothing: take defaults for what is left out.")
def init(root: Path, **options: Any) -> None:
    """Set sessiond up: ask, look the issuer up, write, and say what is left to do.

    It writes the configuration, the proof key and systemd's units, with the q hook beside them.
    A proof key that is there is kept. What is not given as an option is asked for.
    """
    # Imported here, so that the other commands do not wait for what asks issuers.
    from sessiond.init.answers import Given
    from sessiond.init.setting_up import set_up

    set_up(Given(root=root.absolute(), **options))
