UPDATE reports SET as_of = $2, seconds = $3, outcome = $4 WHERE report_id = $1
