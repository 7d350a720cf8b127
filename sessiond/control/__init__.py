"""The control socket: how operators, scrapers and scripts see and steer the daemon."""
