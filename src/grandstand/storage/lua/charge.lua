-- Counts units of many subjects in one step.
-- KEYS: one a subject. ARGV, five a key: quota, window in ms, block in ms, units spent already, units wanted.
-- Returns three numbers a key: the count, the units granted of those wanted, and the ms until the count ends.
-- A count above the quota marks a subject that is blocked until the key expires.
local reply = {}
for number, key in ipairs(KEYS) do
  local first = (number - 1) * 5
  local quota, window_ms, block_ms = tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local spent, wanted = tonumber(ARGV[first + 4]), tonumber(ARGV[first + 5])
  local held = tonumber(redis.call('GET', key) or -1)
  local count, granted, left_ms = held, 0, window_ms
  if held > quota then
    left_ms = redis.call('PTTL', key)
  else
    count = math.min(quota, math.max(0, held) + spent)
    granted = math.min(wanted, quota - count)
    count = count + granted
    if granted < wanted and block_ms > 0 then
      count, left_ms = quota + 1, block_ms
      redis.call('SET', key, count, 'PX', block_ms)
    elseif held < 0 then
      redis.call('SET', key, count, 'PX', window_ms)
    else
      if count ~= held then
        redis.call('SET', key, count, 'KEEPTTL')
      end
      left_ms = redis.call('PTTL', key)
    end
  end
  reply[#reply + 1] = count
  reply[#reply + 1] = granted
  reply[#reply + 1] = left_ms
end
return reply
