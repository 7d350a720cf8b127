"""Logins over HTTP: what a request to q's own web server means, and what is answered.

Everything of it that is neither kdb+ IPC nor an issuer's HTTP: cookies, sign-ins by the
authorization code (RFC 6749, 4.1), sign-outs, challenges to bearers (RFC 6750), pages for people.
"""
