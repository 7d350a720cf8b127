"""Access tokens fetched ahead of time, at a pace that no issuer and no stranger can upset."""

from sessiond.refresher.refresh_issuer import RefreshIssuer, RefreshSettings, Tokens, TokenSource
from sessiond.refresher.refresher import Refresher

__all__ = ["RefreshIssuer", "RefreshSettings", "Refresher", "TokenSource", "Tokens"]
