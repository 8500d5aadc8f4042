INSERT INTO leases (name, holder, token, expires_at) VALUES ('scheduler', 'old', 1, '2024-10-08 00:00:00+00');
INSERT INTO webhook_endpoints (endpoint_id, url, secret, disabled_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'https://example.com/', 's', '2024-10-08 00:00:00+00');
INSERT INTO webhook_events (event_id, type, payload)
VALUES ('00000000-0000-0000-0000-000000000002', 'leaderboard.period_closed', '{}');
INSERT INTO webhook_deliveries (event_id, endpoint_id, status)
VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'dead');
