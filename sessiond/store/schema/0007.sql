-- Schema version 7: tickets, refresh tokens for data sources, and stored values. Times are microseconds
-- since 1970-01-01 UTC; ids are 16-byte UUIDs.

-- JSON: tickets since its user signed in, when that was (null: not known), and how (acr values). One
-- column, since each that sessions have costs every write.
ALTER TABLE sessions ADD COLUMN sign_in TEXT NOT NULL DEFAULT '[0,null,[]]';

-- Tickets that have opened their session: they open no other.
CREATE TABLE spent_tickets (
    id BLOB PRIMARY KEY,          -- jti
    session BLOB NOT NULL,
    keep_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket_keys (
    id TEXT PRIMARY KEY,          -- kid
    public BLOB NOT NULL,
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE source_grants (
    name TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    seed BLOB,                    -- HMAC of the refresh token that it descends from; null: an operator's
    kept_at INTEGER NOT NULL,
    in_flight_since INTEGER,
    is_refused INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stored_contexts (
    context TEXT PRIMARY KEY,
    owner INTEGER NOT NULL,       -- uid
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stored_values (
    context TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,        -- bytes of the value, which is sealed
    written_at INTEGER NOT NULL,
    PRIMARY KEY (context, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is sealed beside rows of the tables above, which are read and written without it. With rowids:
-- a row of this size would have a page for itself without.
CREATE TABLE secrets (
    kind TEXT NOT NULL,           -- the table
    name TEXT NOT NULL,           -- JSON list: the row's key
    sealed BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;
