-- Sliding logs. KEYS[i] is the log of one key, a sorted set of the permits that were
-- taken: the score is the µs, and the member that time and a number that tells it from
-- others of the same µs, 12 bytes in order. All tiers look at the same log.
--
-- ARGV[1] is one flat array of numbers:
--
--   laws, for each law: tiers, for each tier: limit width
--   for each key: its law from 0, + 128 if the key was there before, + 256·runs, and for
--   each run: kind + 4·times, weight
--
-- The answer is the time, and for each key a status: 0, its clock, its newest permit or 0,
-- for each tier how many its window held, and for each run how many were taken, and of the
-- first that was refused how long it has to wait and because of which tier; or 1 for what is
-- no log; or 2 and the text of an error. A server that takes no writes, as it says at the
-- first, has the script end with that error.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local spread = unpack
local pack, unpack, format = struct.pack, struct.unpack, string.format
local P = cmsgpack.unpack(ARGV[1])

local held = {} -- how many each tier's window held

-- How long weight has to wait for all tiers, with taken just taken, and for which most.
local function wait(o, key, clock, taken, weight)
  local longest, tier = 0, 0
  for j = 1, P[o] do
    local limit, width = P[o + 2 * j - 1], P[o + 2 * j]
    if weight > limit then return -1, j end
    local leave = held[j] + taken + weight - limit
    if leave > 0 then
      local from = clock
      if leave <= held[j] then
        local at = format('%.0f', leave - 1 - held[j])
        from = tonumber(redis.call('ZRANGE', key, at, at, 'WITHSCORES')[2])
      end
      local w = from + width - now
      if w > longest then longest, tier = w, j end
    end
  end
  return longest, tier
end

-- Moves a log so that its newest permit was taken now: the clock was put back by more than
-- a window, and nobody shall wait for it to come again.
local function rewind(key, by)
  local all, moved = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}
  for k = 1, #all, 2 do
    local at = all[k + 1] - by
    moved[k], moved[k + 1] = format('%.0f', at), pack('>dI4', at, k)
  end
  local failed = redis.pcall('DEL', key)
  if type(failed) == 'table' then return failed.err end
  for k = 1, #moved, 1000 do
    redis.call('ZADD', key, spread(moved, k, math.min(k + 999, #moved)))
  end
end

-- Adds taken permits. What has left the window goes and the end is put off now and then, so
-- that it costs little. Returns what failed: then nothing is added.
local function add(key, clock, seq, taken, widest, old)
  local score, added = format('%.0f', clock), {}
  for k = 1, taken do
    added[2 * k - 1], added[2 * k] = score, pack('>dI4', clock, seq + k)
  end
  for k = 1, #added, 1000 do
    local v = redis.pcall('ZADD', key, spread(added, k, math.min(k + 999, #added)))
    if type(v) == 'table' then return v.err end
  end
  if redis.call('ZCARD', key) > 16 + taken + 1.5 * old then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', format('%.0f', clock - widest))
  end
  local need = (clock - now + widest) / 1000
  if redis.call('PTTL', key) < need + 100 then
    redis.call('PEXPIRE', key, string.format('%.0f', 2 * need + 1000))
  end
end

local at, laws, out = 2, {}, { pack('<d', now) }
local written = false
for i = 0, P[1] - 1 do
  laws[i] = at
  at = at + 1 + 2 * P[at]
end

for i = 1, #KEYS do
  local key, x = KEYS[i], P[at]
  local o, first = laws[x % 128], at + 1
  at = first + (x - x % 256) / 128
  local n, widest, most = P[o], 0, 0
  for j = 1, n do
    if P[o + 2 * j] > widest then widest, most = P[o + 2 * j], j end
  end
  local failed, clock, newest, seq = nil, now, 0, 0
  local v = redis.pcall('ZRANGE', key, '-1', '-1', 'WITHSCORES')
  if v.err then
    failed = v.err
  elseif v[1] then
    newest = tonumber(v[2])
    if #v[1] ~= 12 or unpack('>d', v[1]) ~= newest or newest % 1 ~= 0 then
      failed = ''
    elseif newest > now + widest then
      failed = rewind(key, newest - now)
      newest, seq = now, 1000000
    else
      if newest > now then clock = newest end
      if newest == clock then seq = unpack('>I4', v[1], 9) end
    end
  end
  if not failed then
    local left, taken = math.huge, 0
    local text = '\0' .. pack('<dd', clock, newest)
    for j = 1, n do
      local since = clock - P[o + 2 * j]
      held[j] = newest > since and newest > 0 and redis.call('ZCOUNT', key, format('(%.0f', since), '+inf') or 0
      left = math.min(left, P[o + 2 * j - 1] - held[j])
      text = text .. pack('<d', held[j])
    end
    if left < 0 then left = 0 end
    for a = first, at - 2, 2 do
      local kind, weight = P[a] % 4, P[a + 1]
      local times, k, longest, tier = (P[a] - kind) / 4, 0, 0, 0
      if kind == 0 then
        k = math.min((left - left % weight) / weight, times)
        if k < times then longest, tier = wait(o, key, clock, taken + k * weight, weight) end
        k = k * weight
      elseif kind == 1 then
        k = math.min(left, weight * times)
        if k < weight * times then longest, tier = wait(o, key, clock, taken + k, 1) end
      elseif weight > 0 then
        longest, tier = wait(o, key, clock, taken, weight)
      end
      left, taken = left - k, taken + k
      text = text .. pack('<ddd', k, longest, tier)
    end
    if taken > 0 then
      failed = add(key, clock, seq, taken, widest, held[most])
      if failed and not written then return { err = failed } end
      written = true
    end
    out[i + 1] = text
  end
  if failed == '' then
    out[i + 1] = '\1'
  elseif failed then
    failed = failed:sub(1, 255)
    out[i + 1] = '\2' .. string.char(#failed) .. failed
  end
end
return table.concat(out)
