"""A machine's places below one folder, and something to keep."""

from pathlib import Path

from sessiond_login.kept import Kept
from sessiond_login.places import Places
from sessiond_login.secret import Secret


def places_below(folder: Path) -> Places:
    return Places(
        profiles=folder / "config" / "login.toml",
        system_profiles=folder / "etc" / "login.toml",
        state=folder / "state",
        locks=(folder / "run", folder / "state" / "locks"),
    )


def kept(access: str = "access-token", *, refresh: str | None = "refresh-token") -> Kept:
    return Kept(
        made_for="d1",
        user="zoë@corp.example",
        access=Secret(access),
        refresh=None if refresh is None else Secret(refresh),
        since=1_790_000_000.0,
        expires=1_790_000_000.5,
        send="pair",
        handed_over=True,
    )


def same(one: Kept | None, other: Kept | None) -> bool:
    """Compare records, whose secrets do not compare."""
    return _plain(one) == _plain(other)


def _plain(each: Kept | None) -> object:
    if each is None:
        return None
    refresh = None if each.refresh is None else each.refresh.reveal()
    return (each.made_for, each.user, each.access.reveal(), refresh, each.expires, each.handed_over)
