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

-- One command for many entries costs a fraction of one for each; so many arguments fit on Lua's stack.
local ARGUMENTS_MAX = 4000

local function call_in_parts(command, key, arguments)
    for first = 1, #arguments, ARGUMENTS_MAX do
        redis.call(command, key, unpack(arguments, first, math.min(first + ARGUMENTS_MAX - 1, #arguments)))
    end
end

local function is_newer(version, since)
    return not since or struct.unpack('>I6', since) < struct.unpack('>I6', version)
end

-- Of a user who comes twice only the newest entry is looked at.
local newest, users = {}, {}
for i = 1, #ARGV, 5 do
    local user = ARGV[i]
    local known = newest[user]
    if not known then
        users[#users + 1] = user
    end
    if is_newer(ARGV[i + 3], known and ARGV[known + 3]) then
        newest[user] = i
    end
end

local old_members, new_members, holdings, kept, left, unkept, returned = {}, {}, {}, {}, {}, {}, {}
local taken = 0
for first = 1, #users, ARGUMENTS_MAX do
    local last = math.min(first + ARGUMENTS_MAX - 1, #users)
    local held_by = redis.call('HMGET', holders, unpack(users, first, last))
    for place = first, last do
        local user = users[place]
        local i = newest[user]
        local score, prefix, version = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
        local held = held_by[place - first + 1]
        local since = held
        if not held and any_removed then
            since = redis.call('HGET', removed, user)
        end
        if is_newer(version, since) then
            taken = taken + 1
            local before = held and string.sub(held, 7)
            if score == '' then
                redis.call('HSET', removed, user, version)
                if held then
                    old_members[#old_members + 1] = before .. user
                    left[#left + 1] = user
                end
                unkept[#unkept + 1] = user
            else
                if held and before ~= prefix then
                    old_members[#old_members + 1] = before .. user
                elseif not held and since then
                    returned[#returned + 1] = user
                end
                new_members[#new_members + 1] = score
                new_members[#new_members + 1] = prefix .. user
                holdings[#holdings + 1] = user
                holdings[#holdings + 1] = version .. prefix
                if ARGV[i + 4] ~= '' then
                    kept[#kept + 1] = user
                    kept[#kept + 1] = ARGV[i + 4]
                elseif any_metadata then
                    unkept[#unkept + 1] = user
                end
            end
        end
    end
end
call_in_parts('ZREM', ranks, old_members)
call_in_parts('HDEL', holders, left)
call_in_parts('HDEL', removed, returned)
call_in_parts('ZADD', ranks, new_members)
call_in_parts('HSET', holders, holdings)
call_in_parts('HDEL', metadata, unkept)
call_in_parts('HSET', metadata, kept)
return taken
