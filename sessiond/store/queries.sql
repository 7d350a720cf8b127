-- {columns} and {values} are filled in from the table's codec (codec.py), which has the one list of
-- its columns, in the order in which rows are written and read.

-- name: put_session
INSERT OR REPLACE INTO sessions ({columns}) VALUES ({values});
-- name: drop_session
DELETE FROM sessions WHERE id IN (VALUES (?));
-- name: all_sessions
SELECT {columns} FROM sessions;

-- name: put_grant
INSERT OR REPLACE INTO grants ({columns}) VALUES ({values});
-- name: drop_grant
DELETE FROM grants WHERE id IN (VALUES (?));
-- name: all_grants
SELECT {columns} FROM grants;

-- name: put_token
INSERT OR REPLACE INTO tokens ({columns}) VALUES ({values});
-- name: drop_token
DELETE FROM tokens WHERE hash IN (VALUES (?));
-- name: all_tokens
SELECT {columns} FROM tokens;

-- name: put_name
INSERT OR REPLACE INTO names ({columns}) VALUES ({values});
-- name: drop_name
DELETE FROM names WHERE name IN (VALUES (?));
-- name: all_names
SELECT {columns} FROM names;

-- name: put_revocation
INSERT OR REPLACE INTO revocations ({columns}) VALUES ({values});
-- name: drop_revocation
DELETE FROM revocations WHERE id IN (VALUES (?));
-- name: all_revocations
SELECT {columns} FROM revocations;

-- name: put_place
INSERT OR REPLACE INTO places ({columns}) VALUES ({values});
-- name: drop_place
DELETE FROM places WHERE subscriber IN (VALUES (?));
-- name: all_places
SELECT {columns} FROM places;

-- name: put_set_aside
INSERT OR REPLACE INTO set_aside ({columns}) VALUES ({values});
-- name: drop_set_aside
DELETE FROM set_aside WHERE (subscriber, sequence) IN (VALUES (?, ?));
-- name: all_set_asides
SELECT {columns} FROM set_aside;

-- name: put_event
INSERT INTO events (sequence, at, body) VALUES (?, ?, ?);
-- name: events_after
SELECT body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?;
-- name: forget_events
DELETE FROM events WHERE at < ? OR sequence <= ?;
-- name: last_sequence
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events';

-- name: put_key
INSERT INTO keys (name, sealed) VALUES (?, ?);
-- name: key
SELECT sealed FROM keys WHERE name = ?;

-- name: sealed_grants
SELECT id, issuer, subject, refresh_token FROM grants WHERE refresh_token IS NOT NULL;
-- name: reseal_grant
UPDATE grants SET refresh_token = ? WHERE id = ? AND refresh_token = ?;
-- name: sealed_keys
SELECT name, sealed FROM keys;
-- name: reseal_key
UPDATE keys SET sealed = ? WHERE name = ? AND sealed = ?;
