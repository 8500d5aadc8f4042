-- Takes out of the book what an inspection found missing and what is written down by now. Doing it twice, or after
-- somebody else did, changes nothing; what went missing since the inspection stays in the book for the next one.
-- KEYS: the high stream, the low stream, the count of events not yet processed, the book.
-- ARGV: for each of the two streams how many blocks, events and bytes were missing.
local depth, book = KEYS[3], KEYS[4]
for i = 1, 2 do
    local length = redis.call('XLEN', KEYS[i])
    local held = redis.call('HMGET', book, 'blocks:' .. i, 'events:' .. i, 'bytes:' .. i)
    local blocks, events, bytes = tonumber(held[1] or 0), tonumber(held[2] or 0), tonumber(held[3] or 0)
    local first = 3 * i - 2
    local found, lost_events, lost_bytes = tonumber(ARGV[first]), tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
    local missing = math.max(0, blocks - length)
    local taken = math.min(missing, found)
    -- Without missing blocks it is what trimmed ones left behind, which shows when the stream is empty.
    local is_left_behind = found == 0 and missing == 0 and length == 0 and lost_events + lost_bytes > 0
    if taken > 0 or is_left_behind then
        redis.call('HSET', book, 'blocks:' .. i, blocks - taken, 'events:' .. i, events - math.min(events, lost_events),
            'bytes:' .. i, bytes - math.min(bytes, lost_bytes))
    end
end
local held = redis.call('HMGET', book, 'events:1', 'events:2')
local waiting = math.max(0, tonumber(held[1] or 0) + tonumber(held[2] or 0))
if tonumber(redis.call('GET', depth) or 0) ~= waiting then
    redis.call('SET', depth, waiting)
end
