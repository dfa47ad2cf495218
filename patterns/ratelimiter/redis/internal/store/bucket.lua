-- Token buckets. KEYS[i] is the bucket of one key, a string of little-endian numbers: the
-- second in which it expires (4 bytes), then for each tier five doubles, q r c p b: it is
-- full at q + r/c µs, c tokens come per p µs, in lowest terms, and b is the most there can
-- be. No key is a full bucket. All numbers are whole and below 2^53.
--
-- While something is booked, or there are less than no tokens, more follows: for each tier two
-- doubles, q r, where it would be full without what is booked; when that was written; the
-- number of the last booking; of each booking, by time, three doubles: its time, how many,
-- its number; and a byte, how many tiers. Only such a string has an odd length.
--
-- ARGV[1] is one flat array of numbers:
--
--   laws, for each law: tiers, for each tier: c p b tq tr (b tokens take tq + tr/c µs)
--   for each key: its law from 0, + 128 if the key was there before, + 256·runs, and for
--   each run: kind + 4·times, weight; of kind 3 there are three, by times: to give back, and
--   since; to book, and within how long; to cancel, and since, its time, its number
--
-- The answer is the time, and for each key a status: 0, and for each tier where it was full
-- when the key's first run came, and where when its last had gone; or 1 for what is no
-- bucket; or 2 and the text of an error; or 3, that of 0, and if something was booked how
-- many, the number of the last, for each tier where it would be full without, and each
-- booking, but otherwise -1. A run of equal requests is decided at once. A server that takes
-- no writes, as it says at the first, has the script end with that error.
--
-- x % m is exact: x/m could only be rounded up to a whole number k if k·m were 2^53 or more.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local spread = unpack
local pack, unpack, call = struct.pack, struct.unpack, redis.pcall
local P = cmsgpack.unpack(ARGV[1])
local qs, rs = {}, {} -- where each tier is full
local book -- what is booked of the key at hand, or owed, if something is

-- Returns what keys with several tiers need, and whatever is not plain. What a call does not
-- need is not even made: that would take longer than all the rest.
local function several()
  local pack, unpack, LIMIT = struct.pack, struct.unpack, 9007199254740992
  local rules, convert, indebted, takeBooked, take

  -- Returns what is seldom needed: bookings, and to give back.
  local function seldom()
    if rules then return rules end
    rules = {}
    local MOST = 256 -- bookings of a key

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
    function convert(o, q, r, c, p, b)
      local x = (q - now) * c + r
      local rest = x % p
      local missing = (x - rest) / p + P[o + 3] - b
      if missing < 0 then return now, 0 end
      c, b = P[o + 1], P[o + 2]
      x, rest = muldiv(rest, b, p)
      x = x + missing * b
      if rest > 0 then x = x + 1 end
      rest = c > 1 and LIMIT or LIMIT / 2
      if x >= rest then x = rest - 1 end -- a debt that cannot be counted is as long as can be
      r = x % c
      return now + (x - r) / c, r
    end

    function indebted(o)
      for l = o, o + 5 * P[o] - 5, 5 do
        local j, full = (l - o) / 5 + 1, now + P[l + 4]
        if qs[j] > full or qs[j] == full and rs[j] > P[l + 5] then return true end
      end
      return false
    end

    local function add(l, n, q, r)
      local c = P[l + 1]
      local x = n * P[l + 2] + r
      r = x % c
      return q + (x - r) / c, r
    end

    -- Takes n as of a time to come.
    local function promise(o, at, n, q1, r1)
      for l = o, o + 5 * P[o] - 5, 5 do
        local j = (l - o) / 5 + 1
        local q, r = q1[j], r1[j]
        if q < at and (r == 0 or q + 1 < at) then q, r = at, 0 end -- it may be less than a µs early
        q1[j], r1[j] = add(l, n, q, r)
      end
    end

    local function replay(o)
      for j = 1, P[o] do
        local q, r = book.q[j], book.r[j]
        if q < now then q, r = now, 0 end
        book.q[j], book.r[j], qs[j], rs[j] = q, r, q, r
      end
      for i, at in ipairs(book.at) do promise(o, at, book.n[i], qs, rs) end
    end

    local function fits(x, below) return x >= 0 and x < below and x % 1 == 0 end

    -- Reads what is booked, of a book that is to change. What has its time behind it is used.
    -- What makes no sense is nothing booked, and stays owed.
    local function open(o)
      if not book then
        book = { number = 0, told = pack('<d', -1) }
      elseif book.at then
        return
      end
      local q, r, at, n, id = {}, {}, {}, {}, {}
      book.q, book.r, book.at, book.n, book.id = q, r, at, n, id
      local k, most, least = book.k or 0, now + LIMIT / 2, LIMIT
      for l = o, o + 5 * P[o] - 5, 5 do
        local j = (l - o) / 5 + 1
        q[j], r[j], least = qs[j], rs[j], math.min(least, P[l + 3])
        if k > 0 then
          local q0, r0 = unpack('<dd', book.v, 40 * book.m - 11 + 16 * j)
          q[j], r[j] = q0 - book.back, r0
          if not (fits(q0, most + book.back) and fits(r0, P[l + 1])) then k, q[j], r[j] = 0, qs[j], rs[j] end
        end
      end
      for i = 1, k do
        local t, weight, number = unpack('<ddd', book.v, 56 * book.m - 3 + 24 * i)
        t = t - book.back
        if not (fits(t, most) and fits(weight - 1, least) and fits(number, LIMIT)) then
          -- It is not ours.
        elseif t <= now then
          promise(o, t, weight, q, r)
        else
          at[#at + 1], n[#at + 1], id[#at + 1] = t, weight, number
        end
      end
      if book.told then return end
      local told = { pack('<dd', #at, book.number) }
      for j = 1, P[o] do
        if q[j] < now then q[j], r[j] = now, 0 end
        told[#told + 1] = pack('<dd', q[j], r[j])
      end
      for i = 1, #at do told[#told + 1] = pack('<ddd', at[i], n[i], id[i]) end
      book.told = table.concat(told)
    end

    function takeBooked(o, n)
      open(o)
      for l = o, o + 5 * P[o] - 5, 5 do
        local j = (l - o) / 5 + 1
        book.q[j], book.r[j] = add(l, n, book.q[j], book.r[j])
      end
      replay(o)
    end

    function rules.giveBack(o, n, since)
      local melted, q1, r1 = 0, qs, rs
      if since > 0 and since < now then melted = now - since end
      if book then
        open(o)
        q1, r1 = book.q, book.r
      end
      for l = o, o + 5 * P[o] - 5, 5 do
        local j, c, b = (l - o) / 5 + 1, P[l + 1], P[l + 3]
        local x = (n < b and n or b) * P[l + 2]
        local r = x % c
        local q = (x - r) / c - melted
        if q >= 0 then
          q, r = q1[j] - q, r1[j] - r
          if r < 0 then q, r = q - 1, r + c end
          if q < now then q, r = now, 0 end
          q1[j], r1[j] = q, r
        end
      end
      if book then replay(o) end
    end

    -- Books n for when they are there, and returns whether that is soon enough.
    function rules.reserve(o, n, within)
      local wait = 0
      for l = o, o + 5 * P[o] - 5, 5 do
        local j = (l - o) / 5 + 1
        if n > P[l + 3] then return false end
        local q, r = add(l, n, qs[j], rs[j])
        q = q - now - P[l + 4]
        if r > P[l + 5] then q = q + 1 end
        if q > wait then wait = q end
      end
      if wait > within then return false end
      if wait == 0 then
        take(o, n)
        return true
      end
      local due = now + wait
      for l = o, o + 5 * P[o] - 5, 5 do
        local from, c = math.max(qs[(l - o) / 5 + 1], due), P[l + 1]
        if (from - now) * c + n * P[l + 2] + c >= LIMIT / 2 then return false end -- it could not be counted
      end
      open(o)
      local i = #book.at + 1
      if i > MOST then return false end
      while i > 1 and book.at[i - 1] > due do i = i - 1 end
      book.number = math.max(now, book.number + 1)
      table.insert(book.at, i, due)
      table.insert(book.n, i, n)
      table.insert(book.id, i, book.number)
      if i == #book.at then promise(o, due, n, qs, rs) else replay(o) end
      return true
    end

    -- Gives back what was booked: before its time it is as if it had never been.
    function rules.cancel(o, n, since, due, number)
      if due <= now then
        rules.giveBack(o, n, since)
        return true
      end
      if not book then return false end
      open(o)
      for i, id in ipairs(book.id) do
        if id == number then
          table.remove(book.at, i)
          table.remove(book.n, i)
          table.remove(book.id, i)
          replay(o)
          return true
        end
      end
      return false
    end

    -- What is to be kept of what is booked, or owed: nothing if it is neither.
    function rules.kept(o)
      open(o)
      if #book.at == 0 and not indebted(o) then return '' end
      local all = {}
      for j = 1, P[o] do all[j] = pack('<dd', book.q[j], book.r[j]) end
      all[#all + 1] = pack('<dd', now, book.number)
      for i, at in ipairs(book.at) do all[#all + 1] = pack('<ddd', at, book.n[i], book.id[i]) end
      all[#all + 1] = string.char(P[o])
      return table.concat(all)
    end

    return rules
  end

  -- Reads what is stored into qs and rs, and into book. Returns when it expires, and whether it
  -- was another bucket, by its law or by the clock; or nil if it is none.
  local function load(o, v)
    local tiers, size, other, changed = P[o], #v, false, false
    local m = (size - 4) / 40
    if m ~= tiers then
      changed = true
      if size % 2 == 1 then
        m = v:byte(size)
        local k = (size - 21 - 56 * m) / 24
        if m < 1 or k < 0 or k % 1 ~= 0 then return nil end
        local written, number = unpack('<dd', v, 5 + 56 * m)
        if not (written >= 0 and written < LIMIT and written % 1 == 0 and number >= 0 and number < LIMIT and number % 1 == 0) then return nil end
        seldom()
        book = { v = v, m = m, k = k, back = 0, number = number }
        if written > now then book.back, other = written - now, true end -- the clock was put back, and all that is to come with it
        changed = m ~= tiers
      elseif m < 1 or m % 1 ~= 0 then
        return nil
      end
    end
    for j = 1, tiers do
      if j > m then
        qs[j], rs[j] = now, 0
      else
        local q, r, c, p, b = unpack('<ddddd', v, 40 * j - 35)
        local l = o + 5 * j - 5
        local tq, tr = P[l + 4], P[l + 5]
        if not (q >= 0 and q < LIMIT and q % 1 == 0 and r >= 0 and r < c and r % 1 == 0) then return nil end
        local same = c == P[l + 1] and p == P[l + 2] and b == P[l + 3]
        if not same then
          if not (c < LIMIT and c % 1 == 0 and p >= 1 and p % 1 == 0 and b >= 1 and b % 1 == 0 and b * p < LIMIT) then return nil end
          tr = b * p % c
          tq = (b * p - tr) / c
        end
        if book then q = q - book.back end
        if q < now then
          q, r = now, 0
        elseif (q > now + tq or q == now + tq and r > tr) and not book then
          -- The clock was put back. An empty bucket is the most that is missing, from now on.
          q, r, other = now + tq, tr, true
        end
        if not same then
          changed = true
          seldom()
          q, r = convert(l, q, r, c, p, b)
        end
        qs[j], rs[j] = q, r
      end
    end
    if book then
      if changed or book.k > 0 and unpack('<d', v, size - 24) - book.back <= now then book.k = 0 end -- what is booked under another law is owed, and no more
      if book.k == 0 and not indebted(o) then book = nil end
    end
    return unpack('<I4', v), other or changed
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

  function take(o, n)
    if book then return takeBooked(o, n) end
    for l = o, o + 5 * P[o] - 5, 5 do
      local j, c = (l - o) / 5 + 1, P[l + 1]
      local x = n * P[l + 2] + rs[j]
      local r = x % c
      qs[j], rs[j] = qs[j] + (x - r) / c, r
    end
  end

  return load, remaining, take, seldom
end

local at, laws, out = 2, {}, { pack('<d', now) }
local load, remaining, take, seldom
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
      if not load then load, remaining, take, seldom = several() end
      expires, dirty = load(o, v)
      q, r = qs[1], rs[1]
    elseif q < now then
      q, r = now, 0
    end
  elseif v then
    if not load then load, remaining, take, seldom = several() end
    expires, dirty = load(o, v)
    q, r = qs[1], rs[1]
  elseif n > 1 then
    for j = 1, n do qs[j], rs[j] = now, 0 end
  end
  if failed or not expires then
    failed, book = failed or '', nil
    for _ = 1, runs do at = at + (P[at] % 4 < 3 and 2 or P[at] < 15 and 3 or 5) end
  else
    local left, taken, asked, before = 0, 0, false, '\0' -- in debt both stay below 0, and nothing is taken
    if n == 1 then
      left = (now + tq - q) * c + tr - r
      left = (left - left % p) / p
    else
      if not load then load, remaining, take, seldom = several() end
      left = remaining(o)
      for j = 1, n do before = before .. pack('<dd', qs[j], rs[j]) end
    end
    local q0, r0 = q, r
    for _ = 1, runs do
      local weight, kind = P[at + 1], P[at] % 4
      local times = (P[at] - kind) / 4
      at = at + 2
      if book and kind < 2 then
        asked = true
        while times > 0 and weight > 0 and left > 0 do
          x = (left - left % weight) / weight
          if x > times then x = times end
          if x > 0 then
            take(o, x * weight)
          elseif kind == 1 then
            x = 1
            take(o, left)
          else
            break
          end
          dirty, times, left = true, times - x, remaining(o) -- what room there is before bookings costs nothing
        end
        q, r = qs[1], rs[1]
      elseif kind == 0 then
        x = weight > 1 and (left - left % weight) / weight or left
        if x > times then x = times end
        left, taken, asked = left - x * weight, taken + x * weight, true
      elseif kind == 1 then
        x = weight * times
        if x > left then x = left end
        left, taken, asked = left - x, taken + x, true
      elseif kind == 3 then
        if not load then load, remaining, take, seldom = several() end
        local rules = seldom()
        if n == 1 then qs[1], rs[1] = q, r end
        if taken > 0 then
          take(o, taken)
          dirty = true
        end
        if times == 1 then
          rules.giveBack(o, weight, P[at])
          dirty, at = true, at + 1
        elseif times == 2 then
          dirty, at = rules.reserve(o, weight, P[at]) or dirty, at + 1
        else
          dirty, at = rules.cancel(o, weight, P[at], P[at + 1], P[at + 2]) or dirty, at + 3
        end
        q, r = qs[1], rs[1]
        left, taken, asked = remaining(o), 0, true
      end
    end
    local full
    if book then
      if n == 1 then before = '\0' .. pack('<dd', q0, r0) end
      q, r, full = qs[1], rs[1], now
      for j = 1, n do
        before = before .. pack('<dd', qs[j], rs[j])
        if qs[j] > full then full = qs[j] end
      end
      if book.told then before = '\3' .. before:sub(2) .. book.told end
      out[i + 1] = before
    elseif n == 1 then
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
      if n == 1 and not book then
        v = pack('<I4ddddd', expires, q, r, c, p, b)
      else
        v = pack('<I4', expires)
        for j = 1, n do
          local l = o + 5 * j - 5
          v = v .. pack('<ddddd', qs[j], rs[j], P[l + 1], P[l + 2], P[l + 3])
        end
        if book then v = v .. seldom().kept(o) end
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
    book = nil
  end
  if failed == '' then
    out[i + 1] = '\1'
  elseif failed then
    failed = failed:sub(1, 255)
    out[i + 1] = '\2' .. string.char(#failed) .. failed
  end
end
return table.concat(out)
