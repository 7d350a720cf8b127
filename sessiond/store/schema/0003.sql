-- Schema version 3: which refresh tokens each access token came with.

ALTER TABLE tokens ADD COLUMN came_with BLOB NOT NULL DEFAULT x'';  -- their HMACs, 32 bytes each

-- An access token hangs on no grant of a refresh token any more. Sessions go on as they were.
-- By an index: without one this takes a quarter of an hour for 50,000 sessions.
CREATE INDEX tokens_by_grant ON tokens (grant_id);
CREATE INDEX sessions_by_access ON sessions (access);
UPDATE tokens
SET came_with = coalesce(
        (SELECT refresh.hash FROM tokens AS refresh
         WHERE refresh.grant_id = tokens.grant_id
             AND refresh.hash NOT IN (SELECT access FROM sessions)
         ORDER BY refresh.seen_at, refresh.hash LIMIT 1),
        x''),
    grant_id = NULL
WHERE hash IN (SELECT access FROM sessions)
    AND EXISTS (SELECT 1 FROM grants WHERE id = tokens.grant_id AND refresh_token IS NOT NULL);
DROP INDEX tokens_by_grant;
DROP INDEX sessions_by_access;
