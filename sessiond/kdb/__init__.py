"""A q process at the daemon: its connection, its calls and what it is told."""
