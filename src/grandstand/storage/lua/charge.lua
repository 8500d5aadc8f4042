-- Counts units of many subjects in one step.
-- KEYS: one a subject.
-- ARGV[1]: for each limit its quota, window in ms and block in ms. ARGV[2]: for each key the number of its limit, the
-- units spent already, and the units wanted. Numbers in one text each: an argument a number costs the caller more.
-- Returns a text with three numbers a key: the count, the units granted of those wanted, and the ms until the count ends.
-- A count above the quota marks a subject that is blocked until the key expires.
local limits = {}
for quota, window_ms, block_ms in string.gmatch(ARGV[1], '(%d+) (%d+) (%d+)') do
  limits[#limits + 1] = {tonumber(quota), tonumber(window_ms), tonumber(block_ms)}
end
local next_charge = string.gmatch(ARGV[2], '(%d+) (%-?%d+) (%d+)')
local reply, told = {}, 0
for _, key in ipairs(KEYS) do
  local number, spent, wanted = next_charge()
  local limit = limits[tonumber(number)]
  spent, wanted = tonumber(spent), tonumber(wanted)
  local quota, window_ms, block_ms = limit[1], limit[2], limit[3]
  local count = redis.call('INCRBY', key, spent + wanted)
  local left_ms = redis.call('PTTL', key)
  if left_ms < 0 then
    left_ms = window_ms
    redis.call('PEXPIRE', key, left_ms)
  elseif left_ms > math.max(window_ms, block_ms) then
    -- The clock went back, or the setting is a new one: nobody is kept out for longer than the limit says.
    left_ms = math.max(window_ms, block_ms)
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
  reply[told + 1], reply[told + 2], reply[told + 3] = string.format('%d', count), granted, left_ms
  told = told + 3
end
return table.concat(reply, ' ')
