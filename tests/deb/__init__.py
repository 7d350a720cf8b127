"""The Debian package: built, checked, and lived with on a Debian that runs systemd."""
