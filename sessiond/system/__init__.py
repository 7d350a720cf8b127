"""The machine below: systemd, the watchdog, hardening, and who is at the other end of a socket."""
