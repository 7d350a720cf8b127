"""sessionctl: the operator's tool, a thin client of the control socket."""

from sessiond.ctl.commands import main

__all__ = ["main"]
