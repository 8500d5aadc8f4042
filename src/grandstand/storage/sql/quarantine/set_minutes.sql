UPDATE plausibility_minutes AS held
SET events = counted.events, gain = counted.gain
FROM
    unnest($1::bigint [], $2::text [], $3::timestamptz [], $4::integer [], $5::bigint [])
        AS counted (leaderboard_id, user_id, minute, events, gain)
WHERE
    held.leaderboard_id = counted.leaderboard_id AND held.user_id = counted.user_id AND held.minute = counted.minute
