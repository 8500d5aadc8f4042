-- Says that a worker is still at its deliveries: those that are its own count as fresh; what was taken from it stays
-- where it is. KEYS: the stream. ARGV: the group, the consumer, ids of blocks.
local renewed = 0
for i = 3, #ARGV do
    if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) > 0 then
        redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
        renewed = renewed + 1
    end
end
return renewed
