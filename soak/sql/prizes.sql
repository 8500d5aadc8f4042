-- Prizes of a tournament with their steps, in order, and how often claiming them was told.
SELECT
    p.prize_id::text, p.user_id, p.rule, p.rank, p.kind, p.amount, p.status, p.claim_key,
    (SELECT array_agg(s.status ORDER BY s.step_id) FROM prize_steps AS s WHERE s.prize_id = p.prize_id) AS steps,
    (
        SELECT count(*) FROM webhook_events AS w
        WHERE w.type = 'prize.claimed' AND w.payload ->> 'prize_id' = p.prize_id::text
    ) AS claims_told
FROM prizes AS p
WHERE p.tournament_id = $1
ORDER BY p.user_id, p.rule
