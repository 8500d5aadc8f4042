-- Whether files that speak for events name the player from before the request.
SELECT EXISTS (
    SELECT FROM archived_users AS u
    INNER JOIN event_archives AS a ON u.archive_id = a.archive_id
    WHERE u.user_id = $1 AND u.first_at <= $2 AND a.state IN ('detached', 'dropped')
)
