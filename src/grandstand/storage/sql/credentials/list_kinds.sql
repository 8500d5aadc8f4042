-- Revoked ones count too: a kind whose keys were all revoked on purpose gets none behind the operator's back.
SELECT DISTINCT kind FROM api_keys
