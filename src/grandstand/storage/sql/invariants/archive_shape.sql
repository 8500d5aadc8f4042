-- How many entries an archive has, its ranks, and how many stand in front of one that is better in either direction.
SELECT
    count(*) AS entries, coalesce(min(a.rank), 1) AS first_rank, coalesce(max(a.rank), 0) AS last_rank,
    count(*) FILTER (WHERE a.previous_score = a.score AND NOT a.is_behind_equal) AS wrong_ties,
    count(*) FILTER (WHERE a.previous_score < a.score) AS rising,
    count(*) FILTER (WHERE a.previous_score > a.score) AS falling
FROM (
    SELECT
        rank, score, lag(score) OVER places AS previous_score,
        (lag(tie_key) OVER places, lag(achieved_at) OVER places, lag(user_id) OVER places)
        < (tie_key, achieved_at, user_id) AS is_behind_equal
    FROM archived_entries
    WHERE ranking_id = $1
    WINDOW places AS (ORDER BY rank)
) AS a
