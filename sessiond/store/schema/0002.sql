-- Schema version 2: subscribers, and whose each grant is. Times are microseconds since 1970-01-01 UTC.

-- The issuer's own `iss`, since its configured name may be given to another. Empty: not kept then.
ALTER TABLE grants ADD COLUMN iss TEXT NOT NULL DEFAULT '';

CREATE TABLE places (
    subscriber TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,    -- of the last event that it is done with
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a subscriber refused too often. The event itself is here: it may outlive the outbox.
CREATE TABLE set_aside (
    subscriber TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    body BLOB NOT NULL,           -- the event as JSON
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (subscriber, sequence)
) STRICT, WITHOUT ROWID;
