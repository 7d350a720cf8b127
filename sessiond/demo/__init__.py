"""The daemon at work on one machine: a development issuer, two simulated q processes, a story.

Everything here is for showing, nothing for production: the issuer takes passwords over plain http
on loopback, and its users are made up.
"""
