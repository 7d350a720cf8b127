"""`sessionctl doctor`: looks at an installation from outside, and says what to do."""

from sessiond.ctl.doctor.command import doctor

__all__ = ["doctor"]
