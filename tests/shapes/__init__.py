"""The issuers of docs/issuers.md, each as its vendor describes it, against the table written there.

To add one: a section with its `[[issuer]]` table in docs/issuers.md, and a copy of one of
tests/vectors/issuers/*.json under that table's name (its README says what is in them).
"""
