INSERT INTO api_keys (key_id, kind, name, key_hash, scopes) VALUES ('k2', 'server', 'second', '\x04', '{events:write}');
INSERT INTO player_revocations VALUES ('p1', '2024-10-07 00:00:00+00');
