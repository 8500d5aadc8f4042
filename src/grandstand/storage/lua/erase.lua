#!lua flags=allow-oom
-- Takes the traces of a user out of the index of one ranking. KEYS: as for publish.lua. ARGV: the user; 1 when nobody
-- reads the ranking any more, else 0. That the user was removed is forgotten; an entry stays in a ranking that is read, for
-- it came later.
local ranks, holders, removed, metadata = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local user = ARGV[1]
if ARGV[2] == '1' then
    local held = redis.call('HGET', holders, user)
    if held then
        redis.call('ZREM', ranks, string.sub(held, 7) .. user)
        redis.call('HDEL', holders, user)
        redis.call('HDEL', metadata, user)
    end
end
return redis.call('HDEL', removed, user)
