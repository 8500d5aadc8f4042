INSERT INTO dead_letters (
    dead_letter_id, source, form, received_at, priority, events, body, error, message, attempts, first_failed_at,
    last_failed_at, status, replayed_at
) VALUES (
    '00000000-0000-0000-0000-000000000004', 'a', 'event', '2024-10-07 00:00:00+00', 'high', 1, '\x00', 'ValueError', '', 3,
    '2024-10-07 00:00:00+00', '2024-10-07 00:00:00+00', 'replayed', '2024-10-08 00:00:00+00'
);
