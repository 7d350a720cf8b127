-- Schema version 4: refresh tokens apart from their grants, which are read and written without
-- them. Times are microseconds since 1970-01-01 UTC; ids are 16-byte UUIDs.

-- One whose grant is gone is being given back to its issuer. With rowids: a row of this size would
-- have a page for itself without.
CREATE TABLE refresh_tokens (
    grant_id BLOB PRIMARY KEY NOT NULL,
    issuer TEXT NOT NULL,         -- with the subject: whom it is sealed for
    subject TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
INSERT INTO refresh_tokens (grant_id, issuer, subject, sealed)
SELECT id, issuer, subject, refresh_token FROM grants WHERE refresh_token IS NOT NULL;

CREATE TABLE grants_now (
    id BLOB PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    has_refresh_token INTEGER NOT NULL,
    refresh_at INTEGER,
    proven INTEGER NOT NULL,
    in_flight_since INTEGER,
    iss TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO grants_now (
    id, issuer, subject, client, issued_at, expires_at, has_refresh_token, refresh_at, proven,
    in_flight_since, iss
)
SELECT
    id, issuer, subject, client, issued_at, expires_at, refresh_token IS NOT NULL, refresh_at, proven,
    in_flight_since, iss
FROM grants;
DROP TABLE grants;
ALTER TABLE grants_now RENAME TO grants;
