"""`python -m tests.chaos --seed N --seconds S`: one run of chaos, and what was wrong."""

import argparse
import sys
from pathlib import Path

from tests.chaos.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--folder", type=Path, help="an empty one, to leave the evidence in")
    options = parser.parse_args()
    outcome = run(options.seed, options.seconds, options.folder)
    print(outcome)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
