-- Token buckets. KEYS[i] is the bucket of one key, a string:
--
--   "1", then for each tier five doubles: q r c p b
--
-- The tier is full at q + r/c µs. c tokens come per p µs, in lowest terms, and b is the
-- most there can be. No key is a full bucket. All numbers are whole and below 2^53.
--
-- ARGV[1] is one flat array of numbers:
--
--   laws, for each law: tiers, for each tier: c p b tq tr (b tokens take tq + tr/c µs)
--   for each key: its law, runs, for each run: kind weight times since
--
-- The answer is the time, and for each key a status: 0, and for each tier where it was
-- full when the key's first run came, and where when its last had gone; or 1 for what is
-- no bucket; or 2 and the text of an error. A run of equal requests is decided at once.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local fmod, pack, unpack = math.fmod, struct.pack, struct.unpack
local LIMIT = 9007199254740992
local P = cmsgpack.unpack(ARGV[1])

-- a·b/m as quotient and remainder, for a < m and any b: long multiplication in binary.
local function muldiv(a, b, m)
  if a * b < LIMIT then
    local r = fmod(a * b, m)
    return (a * b - r) / m, r
  end
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

local function whole(x, least)
  return x >= least and x < LIMIT and fmod(x, 1) == 0
end

-- What a law at P[o] says of tier j, whose five numbers come after this.
local function tier(o, j) return o + 5 * j - 5 end

-- Converts a tier from c p b: it holds as many tokens as before, if there is room. What is
-- rounded is at most 1/c µs, and never in favour of who asks.
local function convert(o, q, r, c, p, b)
  local x = (q - now) * c + r
  local rest = fmod(x, p)
  local missing = (x - rest) / p + P[o + 3] - b
  if missing < 0 then return now, 0 end
  local part, left = muldiv(rest, P[o + 2], p)
  x = missing * P[o + 2] + part
  if left > 0 then x = x + 1 end
  left = fmod(x, P[o + 1])
  return now + (x - left) / P[o + 1], left
end

local qs, rs = {}, {} -- where each tier is full

-- Reads what is stored into qs and rs. Returns whether it was of another law, or nil if
-- it is no bucket.
local function load(o, v)
  local tiers, size = P[o], #v
  if fmod(size, 40) ~= 1 or v:byte() ~= 49 then return nil end
  local other = size ~= 40 * tiers + 1
  for j = 1, tiers do
    local at = 40 * j - 38
    if at > size then
      qs[j], rs[j] = now, 0
    else
      local q, r, c, p, b = unpack('<ddddd', v, at)
      if not (whole(q, 0) and whole(r, 0) and r < c) then return nil end
      local l = tier(o, j)
      local same = c == P[l + 1] and p == P[l + 2] and b == P[l + 3]
      local tq, tr = P[l + 4], P[l + 5]
      if not same then
        if not (whole(c, 1) and whole(p, 1) and whole(b, 1) and b * p < LIMIT) then return nil end
        tr = fmod(b * p, c)
        tq = (b * p - tr) / c
      end
      if q < now then
        q, r = now, 0
      elseif q > now + tq or q == now + tq and r > tr then
        q, r = now + tq, tr -- the clock was put back: an empty bucket is the most that is missing
      end
      if not same then
        other = true
        q, r = convert(l, q, r, c, p, b)
      end
      qs[j], rs[j] = q, r
    end
  end
  return other
end

-- The least that any tier has left.
local function remaining(o)
  local least = LIMIT
  for j = 1, P[o] do
    local l = tier(o, j)
    local x = (now + P[l + 4] - qs[j]) * P[l + 1] + P[l + 5] - rs[j]
    x = (x - fmod(x, P[l + 2])) / P[l + 2]
    if x < least then least = x end
  end
  return least
end

local function take(o, n)
  for j = 1, P[o] do
    local l = tier(o, j)
    local c, x = P[l + 1], n * P[l + 2] + rs[j]
    rs[j] = fmod(x, c)
    qs[j] = qs[j] + (x - rs[j]) / c
  end
end

local function giveBack(o, n, since)
  local melted = 0
  if since > 0 and since < now then melted = now - since end
  for j = 1, P[o] do
    local l = tier(o, j)
    local c, b = P[l + 1], P[l + 3]
    local x = (n < b and n or b) * P[l + 2]
    local r = fmod(x, c)
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
for i = 1, P[1] do
  laws[i] = at
  at = at + 1 + 5 * P[at]
end

for i = 1, #KEYS do
  local o, runs = laws[P[at]], P[at + 1]
  at = at + 2
  local key, first, n = KEYS[i], at, P[o]
  at = at + 4 * runs
  local v = redis.pcall('GET', key)
  local dirty, failed = false, nil
  if not v then
    for j = 1, n do qs[j], rs[j] = now, 0 end
  elseif type(v) == 'table' then
    failed = v.err
  else
    dirty = load(o, v)
    if dirty == nil then failed = '' end
  end
  if not failed then
    local before, left, taken, asked, ttl
    if n == 1 then
      before = pack('<Bdd', 0, qs[1], rs[1])
    else
      before = '\0'
      for j = 1, n do before = before .. pack('<dd', qs[j], rs[j]) end
    end
    left, taken = remaining(o), 0
    for a = first, at - 4, 4 do
      local kind, weight, times = P[a], P[a + 1], P[a + 2]
      if kind == 0 then
        local k = (left - fmod(left, weight)) / weight
        if k > times then k = times end
        left, taken, asked = left - k * weight, taken + k * weight, true
      elseif kind == 1 then
        local k = weight * times
        if k > left then k = left end
        left, taken, asked = left - k, taken + k, true
      elseif kind == 3 then
        take(o, taken)
        giveBack(o, weight, P[a + 3])
        left, taken, asked, dirty = remaining(o), 0, true, true
      end
    end
    if taken > 0 then
      take(o, taken)
      dirty = true
    end
    if n == 1 then
      local l = o
      out[i + 1] = before .. pack('<dd', qs[1], rs[1])
      v = dirty and pack('<Bddddd', 49, qs[1], rs[1], P[l + 1], P[l + 2], P[l + 3])
      ttl = qs[1]
    else
      local after = before
      v, ttl = '1', now
      for j = 1, n do
        local l, q, r = tier(o, j), qs[j], rs[j]
        after = after .. pack('<dd', q, r)
        v = v .. pack('<ddddd', q, r, P[l + 1], P[l + 2], P[l + 3])
        if q > ttl then ttl = q end
      end
      out[i + 1] = after
    end
    if dirty and asked then
      ttl = ttl - now
      ttl = (ttl - fmod(ttl, 1000)) / 1000 + 2
      v = redis.pcall('SET', key, v, 'PX', ttl)
      failed = type(v) == 'table' and v.err
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
