INSERT INTO erasures (erasure_id, user_hash, requested_at, finished_at)
VALUES ('00000000-0000-0000-0000-000000000005', '\x05', '2024-10-07 00:00:00+00', '2024-10-07 00:00:00+00');
