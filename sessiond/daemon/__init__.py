"""Composition only: builds the parts and runs them until told to stop."""

from sessiond.daemon.serving import run, serve

__all__ = ["run", "serve"]
