-- Appends blocks of events, all or none. KEYS: the high stream, the low stream, the count of events not yet processed.
-- ARGV: received_at in microseconds, then three a block: 1 (high) or 2 (low), how many events, the events.
local events = 0
for i = 2, #ARGV, 3 do
    redis.call('XADD', KEYS[tonumber(ARGV[i])], '*', 'n', ARGV[i + 1], 'r', ARGV[1], 'e', ARGV[i + 2])
    events = events + tonumber(ARGV[i + 1])
end
redis.call('INCRBY', KEYS[3], events)
return events
