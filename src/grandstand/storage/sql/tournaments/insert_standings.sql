INSERT INTO standings (tournament_id, occurrence, rank, user_id, score, achieved_at)
SELECT $1, $2, s.rank, s.user_id, s.score, s.achieved_at
FROM unnest($3::bigint [], $4::text [], $5::bigint [], $6::timestamptz []) AS s (rank, user_id, score, achieved_at)
