-- Rankings that a rank index holds; the order is one of chance that the seed decides.
SELECT r.ranking_id, r.leaderboard_id, r.epoch
FROM rankings AS r
WHERE r.state IN ('live', 'closed')
ORDER BY md5(r.ranking_id::text || $1::text), r.ranking_id
