-- Marks a ranking's index as complete: at its creation (ARGV[1] = ''), or at the end of the rebuild that ARGV[1]
-- names. A rebuild whose token is gone, or whose index lost a part, was overtaken by a loss: it must begin anew.
-- KEYS: the sorted set, the hash, the metadata. ARGV[2] is 1 when every entry has metadata.
-- Returns 1 when the index is complete now.
local size, holders = redis.call('ZCARD', KEYS[1]), redis.call('HLEN', KEYS[2])
local mark = redis.call('HGET', KEYS[2], '')
if size ~= holders - (mark and 1 or 0) or (ARGV[2] == '1' and redis.call('HLEN', KEYS[3]) ~= size) then
    return 0
end
if mark == 'complete' then
    return 1
end
if (mark or '') ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[2], '', 'complete')
return 1
