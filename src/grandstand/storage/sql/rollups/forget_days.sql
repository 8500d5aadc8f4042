DELETE FROM rollup_days WHERE day >= $1::date - 30
