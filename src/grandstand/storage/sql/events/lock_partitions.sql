-- Held against itself only, until the transaction ends: reads and writes of events go on.
LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE
