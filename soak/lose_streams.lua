-- Deletes the streams and all that is kept of them, and returns what was in the two streams.
-- KEYS: the high stream, the low stream, and whatever else goes.
local held = {redis.call('XRANGE', KEYS[1], '-', '+'), redis.call('XRANGE', KEYS[2], '-', '+')}
redis.call('DEL', unpack(KEYS))
return held
