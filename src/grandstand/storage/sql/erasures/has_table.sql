-- A partition may have left meanwhile.
SELECT to_regclass($1) IS NOT NULL
