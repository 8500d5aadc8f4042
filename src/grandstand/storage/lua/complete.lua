-- Marks a ranking's index as complete: at its creation (ARGV[1] = ''), or at the end of the rebuild that ARGV[1]
-- names. A rebuild whose token is gone was overtaken by a loss of the index or by another rebuild: it must begin anew.
-- KEYS: the sorted set, the hash. Returns 1 when the index is complete now.
local mark = redis.call('HGET', KEYS[2], '')
if mark == 'complete' then
    return 1
end
if ARGV[1] == '' then
    if mark then
        return 0
    end
elseif mark ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[2], '', 'complete')
return 1
