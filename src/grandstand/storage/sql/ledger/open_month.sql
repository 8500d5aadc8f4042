UPDATE ledger SET open_month = $1 WHERE open_month IS NULL OR open_month < $1
