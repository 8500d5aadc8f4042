SELECT count(*) FROM (SELECT FROM players LIMIT $1) AS few
