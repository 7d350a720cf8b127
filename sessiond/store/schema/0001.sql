-- Schema version 1. Times are microseconds since 1970-01-01 UTC; ids are 16-byte UUIDs.

-- Live sessions only: a session that ends is deleted, its event tells of it.
CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    process_uid INTEGER NOT NULL,
    process_pid INTEGER NOT NULL,
    process_started INTEGER NOT NULL,
    process_label TEXT NOT NULL,
    about TEXT NOT NULL,          -- JSON: what the process says of itself
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    grant_id BLOB NOT NULL,
    access BLOB NOT NULL,         -- HMAC of the access token
    handle INTEGER NOT NULL,
    address INTEGER NOT NULL,
    state TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    roles TEXT NOT NULL,          -- JSON list
    attributes TEXT NOT NULL      -- JSON object
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    id BLOB PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    refresh_token BLOB,           -- sealed
    refresh_at INTEGER,
    proven INTEGER NOT NULL,
    in_flight_since INTEGER
) STRICT, WITHOUT ROWID;

-- Traces of tokens by HMAC: enough to know one again, not to use it.
CREATE TABLE tokens (
    hash BLOB PRIMARY KEY,
    grant_id BLOB,
    seen_at INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    is_refused INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE names (
    name TEXT PRIMARY KEY,        -- folded
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revocations (
    id BLOB PRIMARY KEY,
    scope TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The outbox. AUTOINCREMENT: a number is never used again, even after its event was dropped.
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    body BLOB NOT NULL            -- the event as JSON
) STRICT;
CREATE INDEX events_at ON events (at);

-- Keys that belong to this database, sealed.
CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
