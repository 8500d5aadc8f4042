-- How many entries an archive has, its ranks, and how many stand in front of one that is better in either direction.
SELECT
    count(*) AS entries, coalesce(min(a.rank), 1) AS first_rank, coalesce(max(a.rank), 0) AS last_rank,
    count(*) FILTER (WHERE a.previous_score = a.score AND NOT a.is_behind_equal) AS wrong_ties,
    count(*) FILTER (WHERE a.previous_score < a.score) AS rising,
    count(*) FILTER (WHERE a.previous_score > a.score) AS falling
FROM (
    SELECT
        rank, score, lag(score) OVER places AS previous_score,
        (lag(tie_key) OVER places, lag(achieved_at) OVER places) < (tie_key, achieved_at)
        OR (
            (lag(tie_key) OVER places, lag(achieved_at) OVER places) = (tie_key, achieved_at)
            -- An erased player keeps the rank, and has no id any more that it goes by.
            AND (lag(user_id) OVER places < user_id OR is_erased OR lag(is_erased) OVER places)
        ) AS is_behind_equal
    FROM (
        SELECT a.*, coalesce(p.is_erased, false) AS is_erased
        FROM archived_entries AS a
        LEFT JOIN players AS p ON a.user_id = p.user_id AND p.is_erased
        WHERE a.ranking_id = $1
    ) AS e
    WINDOW places AS (ORDER BY rank)
) AS a
