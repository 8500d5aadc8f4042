-- Reads where some users of one ranking stand, and others with their neighbours, in one step: ranks, total and entries
-- belong together. KEYS: the sorted set, the hash, the metadata. ARGV: the length of members' prefixes if metadata is
-- wanted (else 0); how many users are alone; these; then for each of the others its id, how many entries above and how
-- many below.
-- Returns {ready, total, held, ranks, scores, metadata, place, …}: what the hash holds of each user who is alone, false
-- for one who is not ranked, and of those who are the ranks from 0, the scores and, if wanted, the metadata; a place is
-- {rank, first rank, {member, score, …}, {metadata, …}} of the entry of one of the others and those around it, or 0 for
-- one who is not ranked. When ready is 0 the index is not complete, and there is nothing else.
local ranks, holders, metadata = KEYS[1], KEYS[2], KEYS[3]
local call, sub = redis.call, string.sub
local total = call('ZCARD', ranks)
local prefix, alone = tonumber(ARGV[1]), tonumber(ARGV[2])
if call('HGET', holders, '') ~= 'complete' or call('HLEN', holders) ~= total + 1
    or (prefix > 0 and call('HLEN', metadata) ~= total) then
    return {0, 0}
end

local found = {1, total, {}, {}, {}, {}}
if alone > 0 then
    local held_by = call('HMGET', holders, unpack(ARGV, 3, 2 + alone))
    local users, members, places = {}, {}, {}
    for i, held in ipairs(held_by) do
        local user = ARGV[i + 2]
        if held and user ~= '' then
            local member = sub(held, 7) .. user
            local rank = call('ZRANK', ranks, member)
            if not rank then
                -- The sizes agree by chance: something else stands in its place.
                return {0, 0}
            end
            local place = #users + 1
            users[place], members[place], places[place] = user, member, rank
        else
            held_by[i] = false
        end
    end
    found[3], found[4] = held_by, places
    if #users > 0 then
        found[5] = call('ZMSCORE', ranks, unpack(members))
        found[6] = prefix > 0 and call('HMGET', metadata, unpack(users)) or {}
    end
end

for i = 3 + alone, #ARGV, 3 do
    local user, above, below = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local held = user ~= '' and call('HGET', holders, user)
    if held then
        local place = call('ZRANK', ranks, sub(held, 7) .. user)
        local first = math.max(0, place - above)
        local rows, kept = call('ZRANGE', ranks, first, place + below, 'WITHSCORES'), {}
        if prefix > 0 then
            local users = {}
            for row = 1, #rows, 2 do
                users[#users + 1] = sub(rows[row], prefix + 1)
            end
            kept = call('HMGET', metadata, unpack(users))
        end
        found[#found + 1] = {place + 1, first + 1, rows, kept}
    else
        found[#found + 1] = 0
    end
end
return found
