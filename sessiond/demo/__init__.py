"""The daemon at work on one machine: a development issuer, a person, two simulated q processes.

Everything here is for showing, nothing for production: the issuer speaks plain http on loopback,
and its users are made up.
"""
