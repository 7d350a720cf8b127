"""The machine's wall clock is set while the daemon runs: rightly, or by mistake.

Everything is real but the reading of the wall clock: run as a program, this file is the daemon with
a wall clock that is as many seconds wrong as a file says. Who is right is the issuer's to say, by
the `Date` of its answers.
"""
