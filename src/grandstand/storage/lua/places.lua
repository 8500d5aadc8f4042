-- Reads where some users of one ranking stand, each with its neighbours, in one step: ranks, total and entries belong
-- together. KEYS: the sorted set, the hash, the metadata. ARGV: the length of members' prefixes if metadata is wanted
-- (else 0); then for each user its id, how many entries above and how many below.
-- Returns {ready, total, place, …}; a place is {rank, first rank, {member, score, …}, {metadata, …}} of the user's entry
-- and those around it, or 0 for one who is not ranked; when ready is 0 the index is not complete and there are none.
local ranks, holders, metadata = KEYS[1], KEYS[2], KEYS[3]
local total = redis.call('ZCARD', ranks)
local prefix = tonumber(ARGV[1])
if redis.call('HGET', holders, '') ~= 'complete' or redis.call('HLEN', holders) ~= total + 1
    or (prefix > 0 and redis.call('HLEN', metadata) ~= total) then
    return {0, 0}
end

local found = {1, total}
for i = 2, #ARGV, 3 do
    local user, above, below = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local held = user ~= '' and redis.call('HGET', holders, user)
    if held then
        local member = string.sub(held, 7) .. user
        local place = redis.call('ZRANK', ranks, member)
        local first = math.max(0, place - above)
        local rows, kept
        if above + below == 0 then
            rows = {member, redis.call('ZSCORE', ranks, member)}
        else
            rows = redis.call('ZRANGE', ranks, first, place + below, 'WITHSCORES')
        end
        if prefix > 0 then
            local users = {}
            for row = 1, #rows, 2 do
                users[#users + 1] = string.sub(rows[row], prefix + 1)
            end
            kept = redis.call('HMGET', metadata, unpack(users))
        end
        found[#found + 1] = {place + 1, first + 1, rows, kept or {}}
    else
        found[#found + 1] = 0
    end
end
return found
