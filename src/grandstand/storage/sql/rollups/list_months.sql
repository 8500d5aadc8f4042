SELECT received_month FROM rollup_months ORDER BY received_month
