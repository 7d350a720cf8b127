"""Tickets: one sign-in for every process of this host, each by a login of its own."""
