"""sessiond, a session daemon for kdb+."""

__version__ = "0.1.0"
