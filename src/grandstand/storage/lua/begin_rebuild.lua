-- Claims the rebuild of a ranking's index for the token ARGV[1], and clears what is left of it when its parts do not
-- agree. What workers publish from now on stays: versions decide.
-- KEYS: the sorted set, the hash, the removed users, the metadata.
local size, holders = redis.call('ZCARD', KEYS[1]), redis.call('HLEN', KEYS[2])
local marked = redis.call('HEXISTS', KEYS[2], '')
if size ~= holders - marked then
    redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
end
redis.call('HSET', KEYS[2], '', ARGV[1])
return 1
