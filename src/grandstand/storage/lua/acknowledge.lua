-- Takes processed blocks out of one stream. KEYS: the stream, the count of events not yet processed, the book.
-- ARGV: the consumer group; 1 (high) or 2 (low); then three a block: its id, how many events, how many bytes. A block
-- that two workers finish counts once.
local blocks, events, bytes = 0, 0, 0
for i = 3, #ARGV, 3 do
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
    if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
        blocks = blocks + 1
        events = events + tonumber(ARGV[i + 1])
        bytes = bytes + tonumber(ARGV[i + 2])
    end
end
if blocks > 0 then
    redis.call('HINCRBY', KEYS[3], 'blocks:' .. ARGV[2], -blocks)
    redis.call('HINCRBY', KEYS[3], 'events:' .. ARGV[2], -events)
    redis.call('HINCRBY', KEYS[3], 'bytes:' .. ARGV[2], -bytes)
    redis.call('DECRBY', KEYS[2], events)
end
return events
