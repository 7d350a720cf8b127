-- name: put_session
INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: drop_session
DELETE FROM sessions WHERE id IN (VALUES (?));
-- name: all_sessions
SELECT * FROM sessions;

-- name: put_grant
INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: drop_grant
DELETE FROM grants WHERE id IN (VALUES (?));
-- name: all_grants
SELECT * FROM grants;

-- name: put_token
INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?, ?);
-- name: drop_token
DELETE FROM tokens WHERE hash IN (VALUES (?));
-- name: all_tokens
SELECT * FROM tokens;

-- name: put_name
INSERT OR REPLACE INTO names VALUES (?, ?, ?);
-- name: drop_name
DELETE FROM names WHERE name IN (VALUES (?));
-- name: all_names
SELECT * FROM names;

-- name: put_revocation
INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?, ?);
-- name: drop_revocation
DELETE FROM revocations WHERE id IN (VALUES (?));
-- name: all_revocations
SELECT * FROM revocations;

-- name: put_place
INSERT OR REPLACE INTO places VALUES (?, ?, ?);
-- name: drop_place
DELETE FROM places WHERE subscriber IN (VALUES (?));
-- name: all_places
SELECT * FROM places;

-- name: put_set_aside
INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?, ?, ?);
-- name: drop_set_aside
DELETE FROM set_aside WHERE (subscriber, sequence) IN (VALUES (?, ?));
-- name: all_set_asides
SELECT * FROM set_aside;

-- name: put_event
INSERT INTO events (sequence, at, body) VALUES (?, ?, ?);
-- name: events_after
SELECT body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?;
-- name: forget_events
DELETE FROM events WHERE at < ? OR sequence <= ?;
-- name: last_sequence
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events';

-- name: put_key
INSERT INTO keys VALUES (?, ?);
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
