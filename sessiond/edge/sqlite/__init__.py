"""The store in an SQLite file."""

from sessiond.edge.sqlite.store import SqliteStore, opened

__all__ = ["SqliteStore", "opened"]
