"""The lengths that a chaos run is played by, and judged by."""

LEASE = 12  # seconds that an access token lives
UNBOUND = 3.0  # seconds that a login may wait to be opened
GRACE = 6.0  # seconds that a lost process's sessions wait for it
BASE = "https://gw.test:5007"  # of every process: a cookie counts at its own alone
TICKET = 3  # seconds that a ticket is good
ROTATED, OWN = "rotated", "own"  # the data sources, by whose token they have
SOURCE_CLIENT = "webapp"  # of the rotated one: its refresh tokens are no session's
