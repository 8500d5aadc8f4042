-- Compares the streams with their book, at one moment, and puts the book right.
-- KEYS: the high stream, the low stream, the count of events not yet processed, the book.
-- ARGV: the incarnation that the stream gets when it has none: it is new, or all of it was lost.
-- Returns the incarnation, how many events were ever appended, how many wait, how many blocks and events are missing.
-- Blocks enter and leave together with their numbers in the book, so a stream that holds fewer has lost them.
local depth, book = KEYS[3], KEYS[4]
redis.call('HSETNX', book, 'incarnation', ARGV[1])
local lost_blocks, lost_events = 0, 0
for i = 1, 2 do
    local length = redis.call('XLEN', KEYS[i])
    local held = redis.call('HMGET', book, 'blocks:' .. i, 'events:' .. i, 'bytes:' .. i)
    local blocks, events, bytes = tonumber(held[1] or 0), tonumber(held[2] or 0), tonumber(held[3] or 0)
    if length < blocks then
        lost_blocks = lost_blocks + blocks - length
        redis.call('HSET', book, 'blocks:' .. i, length)
    end
    if length == 0 and (events ~= 0 or bytes ~= 0) then
        -- Less than nothing is what a book holds that was begun while blocks were waiting.
        lost_events = lost_events + math.max(0, events)
        redis.call('DECRBY', depth, math.max(0, events))
        redis.call('HSET', book, 'blocks:' .. i, 0, 'events:' .. i, 0, 'bytes:' .. i, 0)
    end
end
local kept = redis.call('HMGET', book, 'incarnation', 'appended')
return {kept[1], tonumber(kept[2] or 0), tonumber(redis.call('GET', depth) or 0), lost_blocks, lost_events}
