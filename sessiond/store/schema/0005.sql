-- Schema version 5: the name as it was typed at the login, why each role was given,
-- which are protected, and the roles that the process knows of.

ALTER TABLE sessions ADD COLUMN typed TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN assigned TEXT NOT NULL DEFAULT '{}';  -- JSON: role -> reasons
ALTER TABLE sessions ADD COLUMN protected TEXT NOT NULL DEFAULT '[]';  -- JSON, as roles
ALTER TABLE sessions ADD COLUMN told TEXT NOT NULL DEFAULT '[]';  -- JSON, as roles; null: not known
UPDATE sessions
SET typed = name,
    told = roles,
    assigned = (
        SELECT json_group_object(value, json_array('before the upgrade'))
        FROM json_each(sessions.roles)
    );
