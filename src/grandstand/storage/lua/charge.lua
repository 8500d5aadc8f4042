-- Counts units of many subjects in one step.
-- KEYS: one a subject.
-- ARGV: the number of limits; for each its quota, window in ms and block in ms; then for each key the number of its
-- limit, the units spent already, and the units wanted.
-- Returns three numbers a key: the count, the units granted of those wanted, and the ms until the count ends.
-- A count above the quota marks a subject that is blocked until the key expires.
local limits, at = {}, 2
for number = 1, tonumber(ARGV[1]) do
  limits[number] = {tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])}
  at = at + 3
end
local reply, told = {}, 0
for _, key in ipairs(KEYS) do
  local limit, spent, wanted = limits[tonumber(ARGV[at])], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local quota, block_ms = limit[1], limit[3]
  at = at + 3
  local count = redis.call('INCRBY', key, spent + wanted)
  local left_ms = redis.call('PTTL', key)
  if left_ms < 0 then
    left_ms = limit[2]
    redis.call('PEXPIRE', key, left_ms)
  end
  local held, granted = count - spent - wanted, wanted
  if held > quota then
    granted = 0
  elseif count > quota then
    count = math.min(quota, held + spent)
    granted = math.min(wanted, quota - count)
    count = count + granted
    if granted < wanted and block_ms > 0 then
      count, left_ms = quota + 1, block_ms
      redis.call('SET', key, count, 'PX', block_ms)
    else
      redis.call('SET', key, count, 'KEEPTTL')
    end
  elseif count < 0 then
    -- Units were given back to a window that has ended.
    count = 0
    redis.call('SET', key, count, 'KEEPTTL')
  end
  reply[told + 1], reply[told + 2], reply[told + 3] = count, granted, left_ms
  told = told + 3
end
return reply
