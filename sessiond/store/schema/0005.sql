-- Schema version 5: the name as it was typed at the login, and why each role was given.

ALTER TABLE sessions ADD COLUMN typed TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN assigned TEXT NOT NULL DEFAULT '{}';  -- JSON: role -> reasons
UPDATE sessions
SET typed = name,
    assigned = (
        SELECT json_group_object(value, json_array('before the upgrade'))
        FROM json_each(sessions.roles)
    );
