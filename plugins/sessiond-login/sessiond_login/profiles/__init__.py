"""Profiles from files: read, chosen, and taken over from whoever hands them out."""
