-- A report to be counted at $1: one that never was, else the oldest that is older than $2 and than ten times what it took.
SELECT report_id, question FROM reports
WHERE as_of IS NULL OR as_of < $1::timestamptz - greatest($2::interval, make_interval(secs => 10 * seconds))
ORDER BY as_of NULLS FIRST, asked_at
LIMIT 1
