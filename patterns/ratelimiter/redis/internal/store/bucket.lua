-- Token buckets. KEYS[i] is the bucket of one key, a string of little-endian numbers: the
-- second in which it expires (4 bytes), then for each tier five doubles, q r c p b: it is
-- full at q + r/c µs, c tokens come per p µs, in lowest terms, and b is the most there can
-- be. No key is a full bucket. All numbers are whole and below 2^53.
--
-- ARGV[1] is one flat array of numbers:
--
--   laws, for each law: tiers, for each tier: c p b tq tr (b tokens take tq + tr/c µs)
--   for each key: its law from 0, + 128 if the key was there before, + 256·runs, and for
--   each run: kind + 4·times, weight, and with kind 3 since
--
-- The answer is the time, and for each key a status: 0, and for each tier where it was full
-- when the key's first run came, and where when its last had gone; or 1 for what is no
-- bucket; or 2 and the text of an error. A run of equal requests is decided at once. A
-- server that takes no writes, as it says at the first, has the script end with that error.
--
-- x % m is exact: x/m could only be rounded up to a whole number k if k·m were 2^53 or more.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local spread = unpack
local pack, unpack, call = struct.pack, struct.unpack, redis.pcall
local LIMIT = 9007199254740992
local P = cmsgpack.unpack(ARGV[1])
local qs, rs = {}, {} -- where each tier is full

-- a·b/m as quotient and remainder, for a < m and any b: long multiplication in binary.
local function muldiv(a, b, m)
  local bit, q, r = 1, 0, 0
  while bit * 2 <= b do bit = bit * 2 end
  while bit >= 1 do
    q, r = q * 2, r * 2
    if r >= m then q, r = q + 1, r - m end
    if b >= bit then
      b, r = b - bit, r + a
      if r >= m then q, r = q + 1, r - m end
    end
    bit = bit / 2
  end
  return q, r
end

-- Converts a tier, whose law is at P[o + 1], from c p b: it holds as many tokens as
-- before, if there is room. What is rounded is at most 1/c µs, and in favour of nobody who
-- asks.
local function convert(o, q, r, c, p, b)
  local x = (q - now) * c + r
  local rest = x % p
  local missing = (x - rest) / p + P[o + 3] - b
  if missing < 0 then return now, 0 end
  c, b = P[o + 1], P[o + 2]
  x, rest = muldiv(rest, b, p)
  x = x + missing * b
  if rest > 0 then x = x + 1 end
  r = x % c
  return now + (x - r) / c, r
end

-- Reads what is stored into qs and rs. Returns when it expires, and whether it was another
-- bucket, by its law or by the clock; or nil if it is none.
local function load(o, v)
  local tiers, size = P[o], #v
  if size < 44 or size % 40 ~= 4 then return nil end
  local expires, other = unpack('<I4', v), size ~= 40 * tiers + 4
  for j = 1, tiers do
    local at = 40 * j - 35
    if at > size then
      qs[j], rs[j] = now, 0
    else
      local q, r, c, p, b = unpack('<ddddd', v, at)
      local l = o + 5 * j - 5
      local tq, tr = P[l + 4], P[l + 5]
      if not (q >= 0 and q < LIMIT and q % 1 == 0 and r >= 0 and r < c and r % 1 == 0) then return nil end
      local same = c == P[l + 1] and p == P[l + 2] and b == P[l + 3]
      if not same then
        if not (c < LIMIT and c % 1 == 0 and p >= 1 and p % 1 == 0 and b >= 1 and b % 1 == 0 and b * p < LIMIT) then return nil end
        tr = b * p % c
        tq = (b * p - tr) / c
      end
      if q < now then
        q, r = now, 0
      elseif q > now + tq or q == now + tq and r > tr then
        -- The clock was put back. An empty bucket is the most that is missing, from now on.
        q, r, other = now + tq, tr, true
      end
      if not same then
        other = true
        q, r = convert(l, q, r, c, p, b)
      end
      qs[j], rs[j] = q, r
    end
  end
  return expires, other
end

-- The least that any tier has left.
local function remaining(o)
  local least = LIMIT
  for l = o, o + 5 * P[o] - 5, 5 do
    local j, p = (l - o) / 5 + 1, P[l + 2]
    local x = (now + P[l + 4] - qs[j]) * P[l + 1] + P[l + 5] - rs[j]
    x = (x - x % p) / p
    if x < least then least = x end
  end
  return least
end

local function take(o, n)
  for l = o, o + 5 * P[o] - 5, 5 do
    local j, c = (l - o) / 5 + 1, P[l + 1]
    local x = n * P[l + 2] + rs[j]
    local r = x % c
    qs[j], rs[j] = qs[j] + (x - r) / c, r
  end
end

local function giveBack(o, n, since)
  local melted = 0
  if since > 0 and since < now then melted = now - since end
  for l = o, o + 5 * P[o] - 5, 5 do
    local j, c, b = (l - o) / 5 + 1, P[l + 1], P[l + 3]
    local x = (n < b and n or b) * P[l + 2]
    local r = x % c
    local q = (x - r) / c - melted
    if q >= 0 then
      q, r = qs[j] - q, rs[j] - r
      if r < 0 then q, r = q - 1, r + c end
      if q < now then q, r = now, 0 end
      qs[j], rs[j] = q, r
    end
  end
end

local at, laws, out = 2, {}, { pack('<d', now) }
local written = false
for i = 0, P[1] - 1 do
  laws[i] = at
  at = at + 1 + 5 * P[at]
end

-- One read for all is cheaper. What it says is not there may be of another type.
local read = #KEYS > 1 and call('MGET', spread(KEYS)) or {}
local o, n, c, p, b, tq, tr, law -- of the law of the key before, and of its only tier

for i = 1, #KEYS do
  local key, x = KEYS[i], P[at]
  local again = x % 256
  local runs = (x - again) / 256
  local v = read[i]
  if again > 127 then v, again = nil, again - 128 end
  if again ~= law then
    law = again
    o = laws[law]
    n, c, p, b, tq, tr = P[o], P[o + 1], P[o + 2], P[o + 3], P[o + 4], P[o + 5]
  end
  if not v then v = call('GET', key) end
  at = at + 1
  local expires, dirty, failed, q, r = 0, false, nil, now, 0
  if v and v.err then -- of a string, that is nil
    failed = v.err
  elseif v and n == 1 and #v == 44 then
    local oc, op, ob
    expires, q, r, oc, op, ob = unpack('<I4ddddd', v)
    if oc ~= c or op ~= p or ob ~= b or not (q >= 0 and q <= now + tq and q % 1 == 0 and r >= 0 and r < c and r % 1 == 0) or q == now + tq and r > tr then
      expires, dirty = load(o, v)
      q, r = qs[1], rs[1]
    elseif q < now then
      q, r = now, 0
    end
  elseif v then
    expires, dirty = load(o, v)
    q, r = qs[1], rs[1]
  elseif n > 1 then
    for j = 1, n do qs[j], rs[j] = now, 0 end
  end
  if failed or not expires then
    failed = failed or ''
    for _ = 1, runs do at = at + (P[at] % 4 == 3 and 3 or 2) end
  else
    local left, taken, asked, before = 0, 0, false, '\0'
    if n == 1 then
      left = (now + tq - q) * c + tr - r
      left = (left - left % p) / p
    else
      left = remaining(o)
      for j = 1, n do before = before .. pack('<dd', qs[j], rs[j]) end
    end
    local q0, r0 = q, r
    for _ = 1, runs do
      local weight, kind = P[at + 1], P[at] % 4
      local times = (P[at] - kind) / 4
      at = at + 2
      if kind == 0 then
        x = weight > 1 and (left - left % weight) / weight or left
        if x > times then x = times end
        left, taken, asked = left - x * weight, taken + x * weight, true
      elseif kind == 1 then
        x = weight * times
        if x > left then x = left end
        left, taken, asked = left - x, taken + x, true
      elseif kind == 3 then
        if n == 1 then qs[1], rs[1] = q, r end
        take(o, taken)
        giveBack(o, weight, P[at])
        q, r, at = qs[1], rs[1], at + 1
        left, taken, asked, dirty = remaining(o), 0, true, true
      end
    end
    local full
    if n == 1 then
      if taken > 0 then
        x = taken * p + r
        r, dirty = x % c, true
        q = q + (x - r) / c
      end
      full = q
      out[i + 1] = pack('<Bdddd', 0, q0, r0, q, r)
    else
      if taken > 0 then
        take(o, taken)
        dirty = true
      end
      full = now
      for j = 1, n do
        before = before .. pack('<dd', qs[j], rs[j])
        if qs[j] > full then full = qs[j] end
      end
      out[i + 1] = before
    end
    if dirty and asked then
      -- It stays longer than it must, so that its end is put off less often, which costs more
      -- than all the rest. A tenth of a second is for clocks that servers read at another time.
      local keep = full + 100000 < expires * 1000000
      if not keep then
        expires = 2 * full - now
        expires = (expires - expires % 1000000) / 1000000 + 2
        if expires > 4294967295 then expires = 4294967295 end
      end
      if n == 1 then
        v = pack('<I4ddddd', expires, q, r, c, p, b)
      else
        v = pack('<I4', expires)
        for j = 1, n do
          local l = o + 5 * j - 5
          v = v .. pack('<ddddd', qs[j], rs[j], P[l + 1], P[l + 2], P[l + 3])
        end
      end
      if keep then
        v = call('SET', key, v, 'KEEPTTL')
      else
        v = call('SET', key, v, 'PX', string.format('%.0f', expires * 1000 - (now - now % 1000) / 1000))
      end
      failed = v.err
      if failed and not written then return { err = failed } end
      written = true
    end
  end
  if failed == '' then
    out[i + 1] = '\1'
  elseif failed then
    failed = failed:sub(1, 255)
    out[i + 1] = '\2' .. string.char(#failed) .. failed
  end
end
return table.concat(out)
