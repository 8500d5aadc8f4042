-- Combines one batch's latest values with the entries; see fold_best.sql for the join.
INSERT INTO entries AS held (ranking_id, user_id, score, tie_key, achieved_at, event_id, metadata, version)
SELECT
    i.ranking_id, i.user_id, i.score, i.tie_key, i.achieved_at, i.event_id, i.metadata, nextval('entry_versions')
FROM unnest(
    $1::text::bigint [], $2::text::text [], $3::text::bigint [], $4::text::bytea [], $5::timestamptz [],
    $6::text::uuid [], $7::text::text []
)
    AS i (ranking_id, user_id, score, tie_key, achieved_at, event_id, metadata)
LEFT JOIN entries AS e ON i.ranking_id = e.ranking_id AND i.user_id = e.user_id
WHERE e.user_id IS NULL OR (i.achieved_at, i.event_id) > (e.achieved_at, e.event_id)
ON CONFLICT (ranking_id, user_id) DO UPDATE
    SET
        score = excluded.score, tie_key = excluded.tie_key, achieved_at = excluded.achieved_at,
        event_id = excluded.event_id, metadata = excluded.metadata, version = nextval('entry_versions')
    WHERE (excluded.achieved_at, excluded.event_id) > (held.achieved_at, held.event_id)
RETURNING ranking_id, user_id, score, tie_key, achieved_at, metadata, version
