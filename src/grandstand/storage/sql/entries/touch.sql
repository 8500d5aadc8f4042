-- Changes nothing, and fails where entries could not be changed: a missing table or right, a lock, a read-only server.
UPDATE entries SET score = score WHERE FALSE
