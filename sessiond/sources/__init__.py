"""Tokens for data sources: fetched once for all who ask, given to who may have them.

What stays of one is in `source.py`; how it is fetched in `own_standing.py`, `seeded.py` and
`on_behalf.py`. `kdb/` and `control/` ask `sources.py`; issuers are asked by `issuers/`, as
`source_client.py` has it.
"""
