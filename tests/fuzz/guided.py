"""Runs one target under atheris, until libFuzzer ends the process: `guided NAME [libFuzzer's]`."""

import importlib
import sys
from typing import Any


def main() -> None:
    """Instrument sessiond while it is imported, then fuzz."""
    atheris: Any = importlib.import_module("atheris")  # only where the extra `fuzz` is installed
    with atheris.instrument_imports(include=["sessiond"]):
        targets = importlib.import_module("tests.fuzz.targets")
    (fuzz,) = (target.fuzz for target in targets.TARGETS if target.name == sys.argv[1])

    def run(data: bytes) -> None:
        fuzz(data)  # what it returns is not for libFuzzer, which drops an input for some numbers

    atheris.Setup([sys.argv[0], *sys.argv[2:]], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
