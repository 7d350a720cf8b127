"""Access tokens fetched ahead of time, at a pace that no issuer and no stranger can upset."""

from sessiond.refresher.refresh_issuer import Line, Tokens, TokenSource
from sessiond.refresher.refresher import Refresher

__all__ = ["Line", "Refresher", "TokenSource", "Tokens"]
