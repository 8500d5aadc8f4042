SELECT count(*) FROM operators WHERE role = 'admin' AND disabled_at IS NULL AND name <> $1
