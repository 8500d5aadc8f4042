-- Claims the rebuild of a ranking's index for the token ARGV[1], and clears what is left of it when its parts do not
-- agree. What workers publish from now on stays: versions decide. KEYS: the sorted set, the hash, the removed users,
-- the metadata. ARGV[2] is 1 when every entry has metadata.
-- Returns the token: that of a rebuild under way, when there is one. Whichever of the two ends first ends both, as
-- nothing was lost while the token stood.
local size, holders = redis.call('ZCARD', KEYS[1]), redis.call('HLEN', KEYS[2])
local mark = redis.call('HGET', KEYS[2], '')
local is_whole = size == holders - (mark and 1 or 0) and (ARGV[2] ~= '1' or redis.call('HLEN', KEYS[4]) == size)
if not is_whole then
    redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
elseif mark and mark ~= 'complete' then
    return mark
end
redis.call('HSET', KEYS[2], '', ARGV[1])
return ARGV[1]
