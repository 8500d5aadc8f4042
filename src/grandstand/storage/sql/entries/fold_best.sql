-- Combines one batch's best values of boards of one order with the entries. Rows that improve nothing are left out
-- before the insert, because a conflict locks (and so writes) its row even when the update is then not made.
-- $8 is -1 where a higher score is better, 1 where a lower one is.
INSERT INTO entries AS held (ranking_id, user_id, score, tie_key, achieved_at, event_id, metadata, version)
SELECT
    i.ranking_id, i.user_id, i.score, i.tie_key, i.achieved_at, i.event_id, i.metadata, nextval('entry_versions')
FROM unnest(
    $1::text::bigint [], $2::text::text [], $3::text::bigint [], $4::text::bytea [], $5::timestamptz [],
    $6::text::uuid [], $7::text::text []
)
    AS i (ranking_id, user_id, score, tie_key, achieved_at, event_id, metadata)
LEFT JOIN entries AS e ON i.ranking_id = e.ranking_id AND i.user_id = e.user_id
WHERE
    e.user_id IS NULL
    OR (i.score * $8::bigint, i.tie_key, i.achieved_at, i.event_id)
    < (e.score * $8::bigint, e.tie_key, e.achieved_at, e.event_id)
ON CONFLICT (ranking_id, user_id) DO UPDATE
    SET
        score = excluded.score, tie_key = excluded.tie_key, achieved_at = excluded.achieved_at,
        event_id = excluded.event_id, metadata = excluded.metadata, version = nextval('entry_versions')
    WHERE
        (excluded.score * $8::bigint, excluded.tie_key, excluded.achieved_at, excluded.event_id)
        < (held.score * $8::bigint, held.tie_key, held.achieved_at, held.event_id)
RETURNING ranking_id, user_id, score, tie_key, achieved_at, metadata, version
