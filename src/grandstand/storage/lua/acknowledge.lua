-- Takes processed blocks out of one stream. KEYS: the stream, the count of events not yet processed.
-- ARGV: the consumer group, then two a block: its id, how many events. A block that two workers finish counts once.
local events = 0
for i = 2, #ARGV, 2 do
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
    if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
        events = events + tonumber(ARGV[i + 1])
    end
end
redis.call('DECRBY', KEYS[2], events)
return events
