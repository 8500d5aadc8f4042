INSERT INTO operators (name, role, password_hash, created_at, created_by)
VALUES ('ann', 'admin', 'x', '2024-10-07 00:00:00+00', 'cli');
INSERT INTO operator_sessions VALUES ('\x06', 'ann', '2024-10-07 00:00:00+00', '2024-10-08 00:00:00+00', '2024-10-07 00:00:00+00');
