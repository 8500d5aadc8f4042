INSERT INTO audit_log (recorded_at, actor, address, action, target, before, after)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)
