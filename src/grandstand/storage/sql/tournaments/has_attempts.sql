SELECT EXISTS (
    SELECT FROM participants WHERE tournament_id = $1 AND occurrence = $2 AND attempts > 0
)
