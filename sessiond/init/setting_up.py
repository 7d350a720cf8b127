"""The order of it all: ask, look up, show, write, check, say what is left."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import click

from sessiond import config as configuration
from sessiond import install_units as units
from sessiond import shared_files as shared
from sessiond.core.errors import ConfigError
from sessiond.init import metadata, placing, questions, steps
from sessiond.init.answers import Answers, Given
from sessiond.init.checking import checked
from sessiond.init.document import document
from sessiond.init.vendors import ENTRA, OKTA, vendor_of
from sessiond.whole_file import below

PACKAGED = ("/lib/systemd/system/sessiond.service", "/usr/lib/systemd/system/sessiond.service")


def set_up(given: Given) -> None:
    """Do what `sessiond init` is asked to.

    Raises:
        InTheWayError: There is a configuration.
        ConfigError: An answer makes no valid configuration, or something cannot be written.
        IssuerUnavailable: The issuer cannot be looked up.
        click.UsageError: Something is needed, and nobody is there to be asked.
        click.Abort: It is not wanted.
    """
    if not given.config.is_absolute():
        raise click.UsageError("--config must be an absolute path: units and q will name it")
    if not given.dry_run:
        placing.check_way(below(given.root, given.config), force=given.force)
    answers = _answers(given)
    text = document(answers)
    read = configuration.read(text)  # what cannot start must not be written
    values = units.Values.of(read, program=units.program(), file=str(given.config))
    is_packaged = any(below(given.root, Path(each)).exists() for each in PACKAGED)
    planned = [] if is_packaged else units.plan(values, given.root)
    beside = shared.plan(given.root)
    _show(given, answers, text, [*_told(planned), *shared.told(beside, given.root, is_real=False)])
    if given.dry_run:
        click.echo("# Nothing was written: leave out --dry-run.")
        return
    if not given.yes:
        click.confirm("Write these files?", default=True, abort=True)
    units.apply(planned, force=given.force)
    shared.write(beside)
    is_placed = _write(given, answers, text)
    commands = [] if is_packaged else units.commands(given.root)
    for part in (
        steps.at_the_issuer(answers),
        steps.on_the_machine(
            answers,
            commands or ["systemctl start sessiond.service"],
            root=given.root,
            is_proof_placed=is_placed,
        ),
        steps.in_q(answers),
    ):
        click.echo()
        for line in part:
            click.echo(line)


def _answers(given: Given) -> Answers:
    typed = questions.issuer_of(given)
    vendor = vendor_of(typed) if given.entra is None else ENTRA
    if vendor is OKTA and "/oauth2/" not in typed:
        raise ConfigError(
            f"{typed} is Okta's org server, wanted one whose access tokens others can check: name "
            f"a custom authorization server, such as {typed.rstrip('/')}/oauth2/default"
        )
    learned = None
    if not given.offline:
        learned = anyio.run(metadata.look_up, typed, given)
        for line in metadata.found(typed, learned, vendor):
            click.echo(line)
        if given.verify in ("jwt", "introspection") and not _fits(given.verify, learned):
            raise ConfigError(
                f"--verify {given.verify}: the issuer publishes nothing for that, wanted its "
                "endpoint: give another --verify"
            )
    return questions.answers_of(
        given, vendor, typed if learned is None else learned.issuer, learned
    )


def _fits(verify: str, learned: metadata.Metadata) -> bool:
    needed = {"jwt": "jwks_uri", "introspection": "introspection_endpoint"}
    return learned.has(needed[verify])


def _show(given: Given, answers: Answers, text: str, others: list[str]) -> None:
    click.echo(f"\n# {below(given.root, given.config)}, mode 0644:")
    click.echo(text)
    proof = below(given.root, Path(answers.proof))
    is_there = proof.exists()
    what = "is there, and kept" if is_there else f"a new key, for sessiond:{answers.q_group}, 0640"
    click.echo(f"# {proof}: {what}")
    for line in others:
        click.echo(line)


def _told(planned: list[units.Planned]) -> Iterator[str]:
    for each in planned:
        yield f"# {each.path}: {'to be written' if each.is_changed else 'as it should be'}"


def _write(given: Given, answers: Answers, text: str) -> bool:
    """Write configuration and proof key; say whether the key has its owner."""
    accounts = placing.Accounts(given.root)
    config = below(given.root, given.config)
    proof = below(given.root, Path(answers.proof))
    placing.put_config(config, text, force=given.force)
    was_made = placing.put_proof(proof, group=answers.q_group, accounts=accounts)
    for line in checked(given.config, given.root):
        click.echo(line)
    return not was_made or placing.owner_of_proof(accounts, answers.q_group) is not None
