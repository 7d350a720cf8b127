"""Signed access tokens, judged strictly and without I/O: key sets, signatures, claims."""
