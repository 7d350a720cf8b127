-- {columns} and {values} are filled in from the table's codec (codec.py), which has the one list of
-- its columns, in the order in which rows are written and read. What puts and drops is executed for
-- the rows of a batch (one_statement.py), whose columns are NEW.c0 and so on. What is seldom put
-- says of which kind it is.

-- name: put_session
INSERT OR REPLACE INTO sessions ({columns}) VALUES ({values});
-- name: drop_session
DELETE FROM sessions WHERE id = NEW.c0;

-- name: put_grant
INSERT OR REPLACE INTO grants ({columns}) VALUES ({values});
-- name: drop_grant
DELETE FROM grants WHERE id = NEW.c0;

-- name: put_token
INSERT OR REPLACE INTO tokens ({columns}) VALUES ({values});
-- name: drop_token
DELETE FROM tokens WHERE hash = NEW.c0;

-- name: put_name
INSERT OR REPLACE INTO names ({columns}) VALUES ({values});
-- name: drop_name
DELETE FROM names WHERE name = NEW.c0;

-- name: put_web_login
INSERT OR REPLACE INTO web_logins ({columns}) VALUES ({values});
-- name: drop_web_login
DELETE FROM web_logins WHERE session = NEW.c0;

-- name: seldom_put_used_state
INSERT OR REPLACE INTO used_states ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_used_state';
-- name: seldom_drop_used_state
DELETE FROM used_states WHERE hash = NEW.c0;
-- name: all_used_states
SELECT {columns} FROM used_states;

-- name: seldom_put_revocation
INSERT OR REPLACE INTO revocations ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_revocation';
-- name: seldom_drop_revocation
DELETE FROM revocations WHERE id = NEW.c0;
-- name: all_revocations
SELECT {columns} FROM revocations;

-- name: put_place
INSERT OR REPLACE INTO places ({columns}) VALUES ({values});
-- name: drop_place
DELETE FROM places WHERE subscriber = NEW.c0;
-- name: all_places
SELECT {columns} FROM places;

-- name: seldom_put_set_aside
INSERT OR REPLACE INTO set_aside ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_set_aside';
-- name: seldom_drop_set_aside
DELETE FROM set_aside WHERE subscriber = NEW.c0 AND sequence = NEW.c1;
-- name: all_set_asides
SELECT {columns} FROM set_aside;

-- name: put_refresh_token
INSERT INTO refresh_tokens (grant_id, issuer, subject, sealed)
VALUES (NEW.c0, NEW.c1, NEW.c2, NEW.c3)
ON CONFLICT (grant_id) DO UPDATE SET
    issuer = excluded.issuer, subject = excluded.subject, sealed = excluded.sealed;
-- name: drop_refresh_token
DELETE FROM refresh_tokens WHERE grant_id = NEW.c0;
-- name: refresh_token
SELECT issuer, subject, sealed FROM refresh_tokens WHERE grant_id = ?;
-- name: forget_refresh_tokens
DELETE FROM refresh_tokens WHERE grant_id IN (  -- found in the index: the rows are big
    SELECT grant_id FROM refresh_tokens WHERE grant_id NOT IN (SELECT id FROM grants)
);

-- name: put_spent_ticket
INSERT OR REPLACE INTO spent_tickets ({columns}) VALUES ({values});
-- name: drop_spent_ticket
DELETE FROM spent_tickets WHERE id = NEW.c0;
-- name: all_spent_tickets
SELECT {columns} FROM spent_tickets;

-- name: seldom_put_ticket_key
INSERT OR REPLACE INTO ticket_keys ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_ticket_key';
-- name: seldom_drop_ticket_key
DELETE FROM ticket_keys WHERE id = NEW.c0;
-- name: all_ticket_keys
SELECT {columns} FROM ticket_keys;

-- name: seldom_put_source_grant
INSERT OR REPLACE INTO source_grants ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_source_grant';
-- name: seldom_drop_source_grant
DELETE FROM source_grants WHERE name = NEW.c0;
-- name: all_source_grants
SELECT {columns} FROM source_grants;

-- name: seldom_put_stored_context
INSERT OR REPLACE INTO stored_contexts ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_stored_context';
-- name: seldom_drop_stored_context
DELETE FROM stored_contexts WHERE context = NEW.c0;
-- name: all_stored_contexts
SELECT {columns} FROM stored_contexts;

-- name: seldom_put_stored_value
INSERT OR REPLACE INTO stored_values ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_stored_value';
-- name: seldom_drop_stored_value
DELETE FROM stored_values WHERE context = NEW.c0 AND name = NEW.c1;
-- name: all_stored_values
SELECT {columns} FROM stored_values;

-- name: seldom_put_epoch
INSERT OR REPLACE INTO epochs ({columns}) SELECT {values} WHERE NEW.kind = 'seldom_put_epoch';
-- name: seldom_drop_epoch
DELETE FROM epochs WHERE name = NEW.c0;
-- name: all_epochs
SELECT {columns} FROM epochs;

-- name: seldom_put_secret
INSERT INTO secrets (kind, name, sealed) SELECT NEW.c0, NEW.c1, NEW.c2 WHERE NEW.kind = 'seldom_put_secret'
ON CONFLICT (kind, name) DO UPDATE SET sealed = excluded.sealed;
-- name: seldom_drop_secret
DELETE FROM secrets WHERE kind = NEW.c0 AND name = NEW.c1;
-- name: secret
SELECT sealed FROM secrets WHERE kind = ? AND name = ?;

-- name: put_event
INSERT INTO events (sequence, at, body) VALUES (NEW.c0, NEW.c1, NEW.c2);
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

-- name: sealed_refresh_tokens
SELECT grant_id, issuer, subject, sealed FROM refresh_tokens;
-- name: reseal_refresh_token
UPDATE refresh_tokens SET sealed = ? WHERE grant_id = ? AND sealed = ?;
-- name: sealed_secrets
SELECT rowid, kind, name, sealed FROM secrets WHERE rowid > ? ORDER BY rowid LIMIT ?;
-- name: reseal_secret
UPDATE secrets SET sealed = ? WHERE kind = ? AND name = ? AND sealed = ?;
-- name: sealed_keys
SELECT name, sealed FROM keys;
-- name: reseal_key
UPDATE keys SET sealed = ? WHERE name = ? AND sealed = ?;
