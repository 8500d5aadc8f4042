SELECT to_jsonb(t)::text FROM (
    SELECT
        p.prize_id AS id, p.tournament_id, p.occurrence, p.rank, p.kind, p.amount, p.metadata, p.status, p.awarded_at,
        p.expires_at, p.claimed_at, p.voided_at,
        (
            SELECT jsonb_agg(jsonb_build_object('status', s.status, 'at', s.at, 'actor', s.actor, 'reason', s.reason)
            ORDER BY s.step_id)
            FROM prize_steps AS s WHERE s.prize_id = p.prize_id
        ) AS steps
    FROM prizes AS p
    WHERE p.user_id = $1
    ORDER BY p.prize_id
) AS t
