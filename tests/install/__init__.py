"""An installation by docs/operations.md alone, on a Debian that has nothing else."""
