-- Reads the entries of some users of one ranking in one step. KEYS: the sorted set, the hash, the metadata.
-- ARGV: 1 to read metadata, else 0; then the users.
-- Returns {ready, total, {rank, member, score, metadata, …}} for those that are ranked, in the order of ARGV.
local ranks, holders, metadata = KEYS[1], KEYS[2], KEYS[3]
local total = redis.call('ZCARD', ranks)
if redis.call('HGET', holders, '') ~= 'complete' or redis.call('HLEN', holders) ~= total + 1
    or (ARGV[1] == '1' and redis.call('HLEN', metadata) ~= total) then
    return {0, 0, {}}
end
local rows = {}
for i = 2, #ARGV do
    local user = ARGV[i]
    local held = user ~= '' and redis.call('HGET', holders, user)
    if held then
        local member = string.sub(held, 7) .. user
        rows[#rows + 1] = redis.call('ZRANK', ranks, member) + 1
        rows[#rows + 1] = member
        rows[#rows + 1] = redis.call('ZSCORE', ranks, member)
        rows[#rows + 1] = ARGV[1] == '1' and redis.call('HGET', metadata, user) or ''
    end
end
return {1, total, rows}
