-- Removes the consumers of a group that hold nothing and have done nothing for long, in one step: none of them can take
-- a block between the look and the removal. KEYS: the stream. ARGV: the group, how long in milliseconds.
local removed = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #fields, 2 do
        consumer[fields[i]] = fields[i + 1]
    end
    if consumer['pending'] == 0 and consumer['idle'] > tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
        removed = removed + 1
    end
end
return removed
