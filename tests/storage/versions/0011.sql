INSERT INTO audit_log (recorded_at, actor, action, target) VALUES ('2024-10-07 00:00:00+00', 'k1', 'player.ban', 'cheat');
