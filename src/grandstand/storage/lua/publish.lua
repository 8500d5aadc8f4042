#!lua flags=allow-oom
-- Takes entries into the rank index of one ranking, each only when it is newer than what the index holds.
-- KEYS: the sorted set; the hash user -> version and prefix; the hash of removed users -> version; the hash user ->
-- metadata. ARGV, five an entry: user, position score ('' for a removed user), prefix of the member, version (6 bytes,
-- big endian), metadata ('' for none).
-- A full server still takes them: only what is published can leave the stream, which is what fills it.
-- The hash's field '' is the mark of a complete index (begin_rebuild, complete); no user has that name.
local ranks, holders, removed, metadata = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local any_removed = redis.call('EXISTS', removed) == 1
local any_metadata = redis.call('EXISTS', metadata) == 1
local taken = 0
for i = 1, #ARGV, 5 do
    local user, score, prefix, version = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
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
            if any_metadata then
                redis.call('HDEL', metadata, user)
            end
        else
            if held then
                local before = string.sub(held, 7)
                if before ~= prefix then
                    redis.call('ZREM', ranks, before .. user)
                end
            elseif since then
                redis.call('HDEL', removed, user)
            end
            redis.call('ZADD', ranks, score, prefix .. user)
            redis.call('HSET', holders, user, version .. prefix)
            if ARGV[i + 4] ~= '' then
                redis.call('HSET', metadata, user, ARGV[i + 4])
                any_metadata = true
            elseif any_metadata then
                redis.call('HDEL', metadata, user)
            end
        end
    end
end
return taken
