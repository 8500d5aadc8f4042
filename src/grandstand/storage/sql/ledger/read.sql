-- The first day of the open partition and the day after its last. An older version knows months only, and leaves
-- `open_until` as it was.
SELECT
    open_month,
    CASE
        WHEN open_until > open_month THEN open_until ELSE (date_trunc('month', open_month) + interval '1 month')::date
    END AS open_until,
    leaderboards_revision
FROM ledger
