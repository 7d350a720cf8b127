-- Schema version 6: logins over HTTP, and sessions that end with another. Times are microseconds since
-- 1970-01-01 UTC; ids are 16-byte UUIDs.

ALTER TABLE sessions ADD COLUMN parent BLOB;  -- of whose end it is a part; null: none

-- Beside each session that has no handle.
CREATE TABLE web_logins (
    session BLOB PRIMARY KEY,
    cookie BLOB,                  -- HMAC of the browser's; null: known by its access token
    base TEXT NOT NULL,           -- the origin that the cookie was made for
    made_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- OAuth states whose sign-in has made its session: no other comes of it.
CREATE TABLE used_states (
    hash BLOB PRIMARY KEY,
    keep_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
