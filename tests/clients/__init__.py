"""kdb+ clients of other people: how they are installed, for tests that log in with them."""
