-- Lets others take over at once what a consumer holds: its deliveries count as idle for long. They are still its own
-- until then. KEYS: the stream. ARGV: the group, the consumer, how long in milliseconds, how many at most.
local held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[4], ARGV[2])
for _, delivery in ipairs(held) do
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, delivery[1], 'IDLE', ARGV[3], 'JUSTID')
end
return #held
