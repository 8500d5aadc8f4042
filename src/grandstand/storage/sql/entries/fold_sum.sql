-- Adds one batch's totals to the entries. `total` is exact without limit; `score` is what ranks.
INSERT INTO entries AS held (ranking_id, user_id, score, achieved_at, event_id, version, total)
SELECT
    i.ranking_id, i.user_id, least(greatest(i.total, $6::bigint * -1), $6::bigint)::bigint, i.achieved_at, i.event_id,
    nextval('entry_versions'), i.total
FROM unnest($1::bigint [], $2::text [], $3::numeric [], $4::timestamptz [], $5::uuid [])
    AS i (ranking_id, user_id, total, achieved_at, event_id)
ON CONFLICT (ranking_id, user_id) DO UPDATE
    SET
        total = held.total + excluded.total,
        score = least(greatest(held.total + excluded.total, $6::bigint * -1), $6::bigint)::bigint,
        achieved_at = greatest(held.achieved_at, excluded.achieved_at),
        event_id
        = CASE
            WHEN (excluded.achieved_at, excluded.event_id) > (held.achieved_at, held.event_id) THEN excluded.event_id
            ELSE held.event_id
        END,
        version = nextval('entry_versions')
RETURNING ranking_id, user_id, score, achieved_at, version
