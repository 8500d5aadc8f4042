#!lua flags=allow-oom
-- Takes entries into the rank index of one ranking, each only when it is newer than what the index holds.
-- KEYS: the sorted set; the hash user -> version and tie key; the hash of removed users -> version.
-- ARGV, four an entry: user, position score ('' for a removed user), tie key, version (6 bytes, big endian).
-- A full server still takes them: only what is published can leave the stream, which is what fills it.
-- The hash's field '' is the mark of a complete index (begin_rebuild, complete); no user has that name.
local ranks, holders, removed = KEYS[1], KEYS[2], KEYS[3]
local any_removed = redis.call('EXISTS', removed) == 1
local taken = 0
for i = 1, #ARGV, 4 do
    local user, score, tie_key, version = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local held = redis.call('HGET', holders, user)
    local since = held
    if not held and any_removed then
        since = redis.call('HGET', removed, user)
    end
    if not since or struct.unpack('>I6', since) < struct.unpack('>I6', version) then
        taken = taken + 1
        if score == '' then
            redis.call('HSET', removed, user, version)
            any_removed = true
            if held then
                redis.call('ZREM', ranks, string.sub(held, 7) .. user)
                redis.call('HDEL', holders, user)
            end
        else
            if held then
                local before = string.sub(held, 7)
                if before ~= tie_key then
                    redis.call('ZREM', ranks, before .. user)
                end
            elseif since then
                redis.call('HDEL', removed, user)
            end
            redis.call('ZADD', ranks, score, tie_key .. user)
            redis.call('HSET', holders, user, version .. tie_key)
        end
    end
end
return taken
