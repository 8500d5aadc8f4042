#!lua flags=allow-oom
-- Takes entries into the rank index of one ranking, each only when it is newer than what the index holds.
-- KEYS: the sorted set; the hash user -> version and prefix; the hash of removed users -> version; the hash user ->
-- metadata. ARGV: 1 when the entries carry metadata; the entries, packed (index_changes.py), each with its position score
-- ('' for a removed user), the version (6 bytes, big endian) with the prefix of the member behind it, the user, and the
-- metadata ('' for none).
-- A full server still takes them: only what is published can leave the stream, which is what fills it.
-- The hash's field '' is the mark of a complete index (begin_rebuild, complete); no user has that name.
local ranks, holders, removed, metadata = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call, sub, read = redis.call, string.sub, struct.unpack
local any_removed = call('EXISTS', removed) == 1
local any_metadata = call('EXISTS', metadata) == 1
local has_metadata, packed = ARGV[1] == '1', ARGV[2]

-- One command for many entries costs a fraction of one for each; the arguments of so many fit on Lua's stack.
local PART_ENTRIES = 2000

local function call_with(command, key, arguments)
    if #arguments > 0 then
        call(command, key, unpack(arguments))
    end
end

local function is_newer(holding, since)
    return not since or read('>I6', since) < read('>I6', holding)
end

local taken, next_byte = 0, 1
while next_byte <= #packed do
    local users, scores, versions, texts, places = {}, {}, {}, {}, {}
    while next_byte <= #packed and #users < PART_ENTRIES do
        local score, holding, user
        local text = ''
        score, holding, user, next_byte = read('>Bc0Bc0Hc0', packed, next_byte)
        if has_metadata then
            text, next_byte = read('>Ic0', packed, next_byte)
        end
        -- Of a user who comes twice only the newest entry is looked at.
        local place = places[user]
        if not place or is_newer(holding, versions[place]) then
            place = place or #users + 1
            places[user] = place
            users[place], scores[place], versions[place], texts[place] = user, score, holding, text
        end
    end
    local held_by = call('HMGET', holders, unpack(users))

    local old_members, new_members, holdings, kept, left, unkept, returned = {}, {}, {}, {}, {}, {}, {}
    for place, user in ipairs(users) do
        local score, holding, text = scores[place], versions[place], texts[place]
        local held = held_by[place]
        local since = held
        if not held and any_removed then
            since = call('HGET', removed, user)
        end
        if is_newer(holding, since) then
            taken = taken + 1
            if score == '' then
                call('HSET', removed, user, sub(holding, 1, 6))
                if held then
                    old_members[#old_members + 1] = sub(held, 7) .. user
                    left[#left + 1] = user
                end
                unkept[#unkept + 1] = user
            else
                local prefix = sub(holding, 7)
                if held then
                    local before = sub(held, 7)
                    if before ~= prefix then
                        old_members[#old_members + 1] = before .. user
                    end
                elseif since then
                    returned[#returned + 1] = user
                end
                local size = #new_members
                new_members[size + 1] = score
                new_members[size + 2] = prefix .. user
                holdings[size + 1] = user
                holdings[size + 2] = holding
                if text ~= '' then
                    kept[#kept + 1] = user
                    kept[#kept + 1] = text
                elseif any_metadata then
                    unkept[#unkept + 1] = user
                end
            end
        end
    end
    call_with('ZREM', ranks, old_members)
    call_with('HDEL', holders, left)
    call_with('HDEL', removed, returned)
    call_with('ZADD', ranks, new_members)
    call_with('HSET', holders, holdings)
    call_with('HDEL', metadata, unkept)
    call_with('HSET', metadata, kept)
    -- What this part removed, a later one may bring back.
    any_removed = any_removed or #unkept > 0
    any_metadata = any_metadata or #kept > 0
end
return taken
