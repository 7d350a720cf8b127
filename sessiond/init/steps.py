"""What is left to do once the files are written: at the issuer, on the machine, in q."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from sessiond import shared_files
from sessiond.init.answers import Answers
from sessiond.init.placing import OWNER, PROOF_MODE
from sessiond.init.vendors import OTHER
from sessiond.init.written import WIDTH

UNKNOWN = "(the client that users sign in with)"


def at_the_issuer(answers: Answers) -> Iterator[str]:
    """Yield the steps at the issuer, numbered."""
    vendor = answers.vendor
    steps = [
        *vendor.steps,
        *([vendor.role_step] if answers.roles else []),
        *(
            [vendor.introspection_step or OTHER.introspection_step]
            if answers.verify == "introspection"
            else []
        ),
        "For `sessionctl test` and `sessiond-login --device`: "
        f"{vendor.device_step[:1].lower()}{vendor.device_step[1:]}",
    ]
    yield f"Left to do at the issuer, {vendor.title}:"
    for number, step in enumerate(filter(None, steps), start=1):
        yield from _item(f"{number:>2}. ", _filled(step, answers))


def on_the_machine(
    answers: Answers, commands: list[str], *, root: Path, is_proof_placed: bool
) -> Iterator[str]:
    """Yield what is to be typed as root, word for word.

    Args:
        answers: What was set up.
        commands: Of the units, in their order.
        root: What stands for /.
        is_proof_placed: Whether the proof key has its owner already.
    """
    there = "" if root == Path("/") else f"chroot {root} "  # whose names they are
    chown = f"{there}chown {OWNER}:{answers.q_group} {answers.proof}"
    chmod = f"{there}chmod {PROOF_MODE:04o} {answers.proof}"
    secret = f"{there}install -m 0600 -o {OWNER} -g {OWNER} /dev/stdin {answers.secret}"
    yield "Left to do on this machine, as root:"
    makes_user = [each for each in commands if each.startswith("systemd-")]
    starts = [each for each in commands if each not in makes_user]
    owned = [] if is_proof_placed else [chown, chmod]
    asks = answers.verify == "introspection"
    given = [
        f"# type the secret of the client {answers.client_id} after this, then Ctrl-D:",
        secret,
    ]
    look = [] if there else ["sessionctl doctor"]
    for command in [*makes_user, *owned, *(given if asks else []), *starts, *look]:
        yield f"  {command}"


def in_q(answers: Answers) -> Iterator[str]:
    """Yield what q processes need, and how to see the whole at work."""
    yield "Left to do in each q process that takes tokens:"
    yield f"  .sessiond.proofkey:`:{answers.proof}"
    yield f"  \\l {shared_files.HOOK}"
    yield from _item(
        "  ",
        "The hook comes last, and q runs without -u and -U. In TorQ the first line goes into "
        "the process's settings, the hook's path to the end of its column load in process.csv, "
        f"and its column U is empty. {shared_files.PLACE}/torq/README.md has the reasons.",
    )
    if not answers.program:
        yield from _item(
            "",
            "No --program was given: sessions end with their access token until "
            f"refresh_client_id stands in {answers.config}.",
        )
    yield "Then, with a user at hand, see a login check by check:"
    yield "  sessionctl test"
    if answers.program:
        yield "And make the profile by which sessiond-login signs people in:"
        yield "  sessionctl client-profile -o login.toml"


def _filled(step: str, answers: Answers) -> str:
    return step.format(
        audience=answers.audience[0] if answers.audience else "(its audience)",
        program=answers.program or UNKNOWN,
        scope=answers.scope,
        full_scope=answers.full_scope,
        roles=", ".join(answers.roles),
        client_id=answers.client_id,
    )


def _item(mark: str, text: str) -> Iterator[str]:
    indent = " " * len(mark)
    yield from wrap(
        text, WIDTH, initial_indent=mark, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
