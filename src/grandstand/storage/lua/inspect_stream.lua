-- Compares the streams with their book, at one moment. What is missing stays in the book until it is written down
-- (correct_stream.lua), so that whoever looks next sees it too.
-- KEYS: the high stream, the low stream, the count of events not yet processed, the book.
-- ARGV: the incarnation that the stream gets when it has none: it is new, or all of it was lost.
-- Returns the incarnation, how many events were ever appended, how many wait; then for each of the two streams how many
-- blocks, events and bytes are missing.
-- Blocks enter and leave together with their numbers in the book, so a stream that holds fewer has lost them. How many
-- events they had is known once the stream is empty. Less than nothing is what a book holds that was begun while blocks
-- were waiting.
local depth, book = KEYS[3], KEYS[4]
redis.call('HSETNX', book, 'incarnation', ARGV[1])
local kept = redis.call('HMGET', book, 'incarnation', 'appended')
local found = {kept[1], tonumber(kept[2] or 0), 0}
local waiting = 0
for i = 1, 2 do
    local length = redis.call('XLEN', KEYS[i])
    local held = redis.call('HMGET', book, 'blocks:' .. i, 'events:' .. i, 'bytes:' .. i)
    local blocks, events, bytes = tonumber(held[1] or 0), tonumber(held[2] or 0), tonumber(held[3] or 0)
    local lost_events = length == 0 and math.max(0, events) or 0
    waiting = waiting + events - lost_events
    found[#found + 1] = math.max(0, blocks - length)
    found[#found + 1] = lost_events
    found[#found + 1] = length == 0 and math.max(0, bytes) or 0
    if length == 0 and blocks <= 0 and (blocks < 0 or events < 0 or bytes < 0) then
        redis.call('HSET', book, 'blocks:' .. i, 0, 'events:' .. i, 0, 'bytes:' .. i, 0)
        waiting = waiting - events
    end
end
found[3] = math.max(0, waiting)
-- The count follows from the book: what is gone waits no more, and when the count alone was lost it is made anew.
if tonumber(redis.call('GET', depth) or 0) ~= found[3] then
    redis.call('SET', depth, found[3])
end
return found
