"""`python -m sessiond_login`."""

from sessiond_login.cli import main

main()
