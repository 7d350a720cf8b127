"""The measurements of `make bench`, as one table."""
