"""`sessiond init`: from a few answers to an installation that can be started."""

from sessiond.init.command import init

__all__ = ["init"]
