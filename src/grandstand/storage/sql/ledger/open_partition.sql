-- Days from $1 to the one before $2. What overlaps them and is another partition is none any more.
UPDATE ledger SET open_month = $1, open_until = $2
WHERE
    open_month IS NULL OR open_month < $1
    OR (open_month < $2 AND coalesce(open_until, (open_month + interval '1 month')::date) > $1)
