"""The store in an SQLite file."""

from sessiond.store.sqlite import SqliteStore, opened

__all__ = ["SqliteStore", "opened"]
