-- In the order of users, so that two batches lock in one order.
SELECT user_id, attempts FROM participants
WHERE tournament_id = $1 AND occurrence = $2 AND user_id = ANY ($3::text [])
ORDER BY user_id
FOR UPDATE
