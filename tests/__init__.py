"""The tests of sessiond."""
