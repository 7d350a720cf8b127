"""The rules of sessiond, pure: no I/O, no clock, no randomness but what the caller passes in."""
