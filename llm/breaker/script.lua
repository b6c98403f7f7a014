-- One breaker in one hash; the same logic as machine.py, with the
-- thresholds of thresholds.py in capitals. Times are milliseconds by Redis' clock.
-- ARGV: 'acquire', lease_ms, the process that asks
--   or  'free', a process that died
--   or  'tell', event, generation, successes, wait_ms, jitter
--   or  'look'
local key = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local slot = math.floor(now / BUCKET_MS)

local f = redis.call('HMGET', key, 'state', 'gen', 'until', 'reason', 'row', 'lease', 'throttled')
local state = f[1] or 'closed'
local gen = tonumber(f[2] or 0)
local open_until = tonumber(f[3] or 0)
local reason = f[4] or ''
local row = tonumber(f[5] or 0)
local lease = tonumber(f[6] or 0)
local throttled = tonumber(f[7] or 0)

local function save()
  redis.call('HSET', key, 'state', state, 'gen', gen, 'until', open_until, 'reason', reason,
    'row', row, 'lease', lease, 'throttled', throttled)
  redis.call('PEXPIRE', key, 3600000)
end

-- A bucket is one field b0..b9 holding 'slot:successes:failures'.
local function bucket(n)
  local raw = redis.call('HGET', key, 'b' .. (n % BUCKETS))
  if raw then
    local s, ok, bad = string.match(raw, '^(%d+):(%d+):(%d+)$')
    if tonumber(s) == n then return tonumber(ok), tonumber(bad) end
  end
  return 0, 0
end

local function counts()
  local oks, bads = 0, 0
  for n = slot - BUCKETS + 1, slot do
    local ok, bad = bucket(n)
    oks = oks + ok
    bads = bads + bad
  end
  return oks + bads, bads
end

if ARGV[1] == 'look' then
  local completed, bads = counts()
  return {state, gen, reason, completed, bads, math.max(open_until - now, 0), math.max(throttled - now, 0), row}
end

if ARGV[1] == 'acquire' then
  if throttled > now then return {'rejected', state, 'throttled', throttled - now} end
  if state == 'closed' then return {'pass', gen, 0} end
  if state == 'open' then
    if now < open_until then return {'rejected', state, reason, open_until - now} end
    state, lease = 'half_open', 0
  end
  if lease > now then return {'rejected', state, 'probing', lease - now} end
  gen = gen + 1
  lease = now + tonumber(ARGV[2])
  save()
  redis.call('HSET', key, 'holder', ARGV[3])
  return {'pass', gen, 1}
end

if ARGV[1] == 'free' then
  if state == 'half_open' and redis.call('HGET', key, 'holder') == ARGV[2] then
    lease = 0
    save()
  end
  return 0
end

local event, told, successes = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local wait, jitter = tonumber(ARGV[5]), tonumber(ARGV[6])
local before = state

local function open(why)
  local length = OPEN_MS
  if event == 'billing' then length = BILLING_MS end
  state, reason = 'open', why
  open_until = now + math.floor(length * (1 - math.min(math.max(jitter, 0), JITTER)))
  gen = gen + 1
  lease = 0
end

if event == 'throttled' then
  throttled = math.max(throttled, now + math.min(math.max(wait, 0), MOST_THROTTLE_MS))
end
if told == gen then
  if state == 'half_open' then
    if event == 'ok' then
      state, reason, row = 'closed', 'probe succeeded', 0
      gen = gen + 1
      for n = 0, BUCKETS - 1 do redis.call('HDEL', key, 'b' .. n) end
    elseif event == 'released' or event == 'throttled' then
      lease = 0
    else
      open('probe: ' .. event)
    end
  elseif state == 'closed' then
    local ok, bad = bucket(slot)
    if successes > 0 then
      ok = ok + successes
      row = 0
    end
    if event == 'failure' then
      bad = bad + 1
      row = row + 1
    end
    if successes > 0 or event == 'failure' then
      redis.call('HSET', key, 'b' .. (slot % BUCKETS), slot .. ':' .. ok .. ':' .. bad)
    end
    if event == 'failure' then
      local completed, bads = counts()
      if row >= IN_A_ROW then
        open(row .. ' failures in a row')
      elseif completed >= LEAST_CALLS and bads > completed * SHARE then
        open(bads .. ' of ' .. completed .. ' calls failed')
      end
    elseif event == 'auth' or event == 'billing' then
      open(event)
    end
  end
end
save()
local _, bads = counts()
local failing = 0
if bads > 0 or row > 0 then failing = 1 end
return {before, state, gen, reason, failing}
