"""`python -m sessiond`."""

from sessiond.cli import main

main(prog_name="sessiond")
