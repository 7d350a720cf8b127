"""Signs a person in for kdb+, and gives clients what goes to q in the place of a password."""

__version__ = "0.1.0"
