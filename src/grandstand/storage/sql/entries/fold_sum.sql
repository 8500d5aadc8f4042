-- Adds one batch's totals to the entries. `total` is exact without limit; `score` is what ranks, held within ±$8.
-- Time, event and metadata are those of the latest event.
INSERT INTO entries AS held (ranking_id, user_id, score, tie_key, achieved_at, event_id, metadata, version, total)
SELECT
    i.ranking_id, i.user_id, least(greatest(i.total, $8::bigint * -1), $8::bigint)::bigint, i.tie_key, i.achieved_at,
    i.event_id, i.metadata, nextval('entry_versions'), i.total
FROM unnest(
    $1::text::bigint [], $2::text::text [], $3::text::numeric [], $4::text::bytea [], $5::timestamptz [],
    $6::text::uuid [], $7::text::text []
)
    AS i (ranking_id, user_id, total, tie_key, achieved_at, event_id, metadata)
ON CONFLICT (ranking_id, user_id) DO UPDATE
    SET
        (achieved_at, event_id, metadata)
        = (
            SELECT later.achieved_at, later.event_id, later.metadata
            FROM (
                VALUES
                (held.achieved_at, held.event_id, held.metadata),
                (excluded.achieved_at, excluded.event_id, excluded.metadata)
            ) AS later (achieved_at, event_id, metadata)
            ORDER BY later.achieved_at DESC, later.event_id DESC
            LIMIT 1
        ),
        total = held.total + excluded.total,
        score = least(greatest(held.total + excluded.total, $8::bigint * -1), $8::bigint)::bigint,
        version = nextval('entry_versions')
RETURNING ranking_id, user_id, score, tie_key, achieved_at, metadata, version
