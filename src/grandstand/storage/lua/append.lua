-- Appends blocks of events, all or none, while the limits of what may wait are kept.
-- KEYS: the high stream, the low stream, the count of events not yet processed, the book of the stream.
-- ARGV: received_at in microseconds; the most events and bytes that may wait; the greatest age of the oldest block in
-- milliseconds, 0 not to look at it; then five a block: 1 (high) or 2 (low), how many events, how many bytes, the events,
-- the spans of OpenTelemetry whose they are ('' for none).
-- Returns the name of the limit that is reached, or ''. What comes to an empty stream is taken, however large.
local depth, book = KEYS[3], KEYS[4]
local events, bytes = 0, 0
for i = 5, #ARGV, 5 do
    events = events + tonumber(ARGV[i + 1])
    bytes = bytes + tonumber(ARGV[i + 2])
end
if redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2]) > 0 then
    -- The book, and not the count: that may be lost by itself.
    local held = redis.call('HMGET', book, 'events:1', 'events:2', 'bytes:1', 'bytes:2')
    if tonumber(held[1] or 0) + tonumber(held[2] or 0) + events > tonumber(ARGV[2]) then
        return 'events'
    end
    if tonumber(held[3] or 0) + tonumber(held[4] or 0) + bytes > tonumber(ARGV[3]) then
        return 'bytes'
    end
end
if ARGV[4] ~= '0' then
    -- Ids begin with this server's time, in milliseconds.
    local time = redis.call('TIME')
    local oldest_allowed = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[4])
    for i = 1, 2 do
        local oldest = redis.call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)[1]
        if oldest and tonumber(string.match(oldest[1], '^%d+')) < oldest_allowed then
            return 'age'
        end
    end
end
for i = 5, #ARGV, 5 do
    local number = ARGV[i]
    local stream = KEYS[tonumber(number)]
    if ARGV[i + 4] == '' then
        redis.call('XADD', stream, '*', 'n', ARGV[i + 1], 'r', ARGV[1], 'e', ARGV[i + 3])
    else
        redis.call('XADD', stream, '*', 'n', ARGV[i + 1], 'r', ARGV[1], 'e', ARGV[i + 3], 't', ARGV[i + 4])
    end
    redis.call('HINCRBY', book, 'blocks:' .. number, 1)
    redis.call('HINCRBY', book, 'events:' .. number, ARGV[i + 1])
    redis.call('HINCRBY', book, 'bytes:' .. number, ARGV[i + 2])
end
redis.call('HINCRBY', book, 'appended', events)
redis.call('INCRBY', depth, events)
return ''
