-- Gives prizes to ranks, with the first step of each. The unique key makes a second time impossible.
WITH rules AS (
    SELECT * FROM unnest($5::integer [], $6::text [], $7::bigint [], $8::text []) AS r (rule, kind, amount, metadata)
),

awarded AS (
    INSERT INTO prizes (
        prize_id, tournament_id, occurrence, user_id, rule, rank, kind, amount, metadata, awarded_at, expires_at
    )
    SELECT w.prize_id, $1, $2, s.user_id, r.rule, s.rank, r.kind, r.amount, r.metadata::jsonb, $3, $4
    FROM unnest($9::uuid [], $10::integer [], $11::bigint []) AS w (prize_id, rule, rank)
    INNER JOIN rules AS r ON w.rule = r.rule
    INNER JOIN standings AS s ON s.tournament_id = $1 AND s.occurrence = $2 AND w.rank = s.rank
    RETURNING prize_id, user_id, tournament_id, occurrence, rule, rank, kind, amount, metadata, status, awarded_at,
        claimed_at, expires_at
),

traced AS (
    INSERT INTO prize_steps (prize_id, status, at, actor)
    SELECT prize_id, status, $3, 'settlement' FROM awarded
)

SELECT * FROM awarded ORDER BY prize_id
