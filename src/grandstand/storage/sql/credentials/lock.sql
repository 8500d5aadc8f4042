-- First starts of several processes queue up here, so that one makes the keys and the others find them.
LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE
