-- Compares the count of events not yet processed with what is in the streams, at one moment. KEYS: the high stream, the
-- low stream, the count. ARGV: how many blocks are read at most.
-- Returns the number of blocks, of their events (-1 when there are too many blocks to read them), and the count.
local blocks = redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2])
local events = -1
if blocks <= tonumber(ARGV[1]) then
    events = 0
    for stream = 1, 2 do
        for _, block in ipairs(redis.call('XRANGE', KEYS[stream], '-', '+')) do
            for i = 1, #block[2], 2 do
                if block[2][i] == 'n' then
                    events = events + tonumber(block[2][i + 1])
                end
            end
        end
    end
end
return {blocks, events, tonumber(redis.call('GET', KEYS[3]) or '0')}
