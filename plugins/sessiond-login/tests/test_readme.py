"""The README's tables say what the program does."""

import re
from pathlib import Path

import msgspec
from sessiond_login import errors
from sessiond_login.profile import Profile
from sessiond_login.streams import EX_CLOSED_PIPE, EX_IOERR

README = (Path(__file__).parents[1] / "README.md").read_text()


def column(heading: str) -> set[str]:
    """Return what stands in backquotes, or plain, in the first column of a section's table."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| ([^|]+?) +\|", section, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"\w+", cell)}


def test_every_key_of_a_profile_is_told_and_no_other() -> None:
    told = column("The profile") - {"key"}
    assert told == {field.name for field in msgspec.structs.fields(Profile)}


def test_every_exit_code_is_told() -> None:
    kinds = [each for each in vars(errors).values() if hasattr(each, "exit_code")]
    codes = {str(each.exit_code) for each in kinds}
    assert len(codes) == 5
    others = {"0", "1", "130", str(EX_CLOSED_PIPE), str(EX_IOERR)}
    assert column("Exit codes") - {"code"} == codes | others


def test_what_a_person_reads_of_trouble_is_what_the_program_says() -> None:
    """Each row's words stand in the source, in pieces where names come between."""
    source = "".join(
        re.sub(r'"\s*f?"', "", file.read_text())
        for file in (Path(errors.__file__).parent).rglob("*.py")
    )
    section = README.split("\n## When it does not work\n", 1)[1]
    rows = re.findall(r"^\| (`.+?) \|", section, flags=re.MULTILINE)
    assert len(rows) > 8
    for said in (words for row in rows for words in re.findall(r"`([^`]+)`", row)):
        for piece in re.split(r"…|45 s|60 s", said):
            assert piece.strip(" :,") in source, said
