"""Loads strangers' code and guards against it: plugins' entry points, results and processes."""
