-- Reads a stretch of one ranking in one step, so that ranks, total and entries belong together.
-- KEYS: the sorted set, the hash, the metadata. ARGV: where the stretch begins, in four; a user whose own entry is
-- wanted (''); and the length of members' prefixes if metadata is wanted (else 0).
--   'rank', first rank (from 1), count, -
--   'after', position score, count, member        begins behind that position, where no entry needs to stand
-- Returns {ready, total, {rank, member, score, metadata} of the user, first rank, {member, score, …}, {metadata, …}};
-- when ready is 0 the index is not complete and the rest means nothing.
local ranks, holders, metadata = KEYS[1], KEYS[2], KEYS[3]
local total = redis.call('ZCARD', ranks)
local prefix = tonumber(ARGV[6])
if redis.call('HGET', holders, '') ~= 'complete' or redis.call('HLEN', holders) ~= total + 1
    or (prefix > 0 and redis.call('HLEN', metadata) ~= total) then
    return {0, 0, {}, 0, {}, {}}
end

-- Lua compares strings by locale; ranks need the order of bytes.
local function is_before(one, other)
    for i = 1, math.min(#one, #other) do
        local a, b = string.byte(one, i), string.byte(other, i)
        if a ~= b then
            return a < b
        end
    end
    return #one < #other
end

-- How many entries stand at or before a position.
local function count_until(score, member)
    local low = redis.call('ZCOUNT', ranks, '-inf', '(' .. score)
    local high = redis.call('ZCOUNT', ranks, '-inf', score)
    while low < high do
        local middle = math.floor((low + high) / 2)
        local found = redis.call('ZRANGE', ranks, middle, middle)[1]
        if is_before(member, found) then
            high = middle
        else
            low = middle + 1
        end
    end
    return low
end

local own = {}
local held = ARGV[5] ~= '' and redis.call('HGET', holders, ARGV[5])
if held then
    local member = string.sub(held, 7) .. ARGV[5]
    own = {redis.call('ZRANK', ranks, member) + 1, member, redis.call('ZSCORE', ranks, member), prefix > 0 and redis.call('HGET', metadata, ARGV[5]) or ''}
end

local first
if ARGV[1] == 'rank' then
    first = tonumber(ARGV[2])
else
    first = count_until(ARGV[2], ARGV[4]) + 1
end
local last = first + tonumber(ARGV[3]) - 1
local rows, kept = {}, {}
if last >= first then
    rows = redis.call('ZRANGE', ranks, first - 1, last - 1, 'WITHSCORES')
    if prefix > 0 and #rows > 0 then
        local users = {}
        for i = 1, #rows, 2 do
            users[#users + 1] = string.sub(rows[i], prefix + 1)
        end
        kept = redis.call('HMGET', metadata, unpack(users))
    end
end
return {1, total, own, first, rows, kept}
