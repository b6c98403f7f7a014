-- The minute limits of one subject; the same logic as window.py, with its figures in
-- capitals. Times are milliseconds by Redis' clock.
-- KEYS[1]: a hash, number of a bucket -> 'requests:tokens'. Beside it, in the same
-- cluster slot by its tag, a sorted set of the requests under way, by lease.
-- ARGV: 'take', request id, tokens, lease_ms, most requests, tokens, at once (-1: any)
--   or  'give', request id, bucket (0: none), change of its requests, of its tokens
--   or  'free', what the ids of the requests of a dead process begin with
-- Replies: {0, bucket, left of each (-1: any), ms until more is left, until all is}
--       or {1 requests | 2 tokens | 3 at once, left of it, ms until it may fit}
local key, held, id = KEYS[1], KEYS[1] .. ':held', ARGV[2]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local newest = math.floor(now / BUCKET_MS)

local function parts(value)
  local requests, tokens = string.match(value or '0:0', '^(%d+):(%d+)$')
  return tonumber(requests), tonumber(tokens)
end

-- A bucket far ahead is from before the clock was set back.
local function live(n)
  return n > newest - BUCKETS and n < newest + BUCKETS
end

local function ends(n)
  return (n + BUCKETS) * BUCKET_MS - now
end

if ARGV[1] == 'give' then
  local n = tonumber(ARGV[3])
  if n > 0 and live(n) then
    local requests, tokens = parts(redis.call('HGET', key, n))
    requests = math.max(0, requests + tonumber(ARGV[4]))
    tokens = math.max(0, tokens + tonumber(ARGV[5]))
    redis.call('HSET', key, n, string.format('%.0f:%.0f', requests, tokens))
    redis.call('PEXPIRE', key, (BUCKETS + 1) * BUCKET_MS)
  end
  redis.call('ZREM', held, id)
  return 0
end

if ARGV[1] == 'free' then
  for _, one in ipairs(redis.call('ZRANGE', held, 0, -1)) do
    if string.sub(one, 1, #id) == id then redis.call('ZREM', held, one) end
  end
  return 0
end

local asked, lease = tonumber(ARGV[3]), tonumber(ARGV[4])
local most_requests, most_tokens = tonumber(ARGV[5]), tonumber(ARGV[6])
local most_held = tonumber(ARGV[7])
local windowed = most_requests >= 0 or most_tokens >= 0
local requests, tokens, oldest, buckets = 0, 0, newest, {}

if windowed then
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local n = tonumber(all[i])
    if live(n) then
      local r, k = parts(all[i + 1])
      requests, tokens = requests + r, tokens + k
      oldest = math.min(oldest, n)
      buckets[#buckets + 1] = {n, r, k}
    else
      redis.call('HDEL', key, all[i])
    end
  end
end

-- Milliseconds until buckets with `over` requests (2) or tokens (3) have expired.
local function wait(over, part)
  table.sort(buckets, function(a, b) return a[1] < b[1] end)
  local gone = 0
  for _, bucket in ipairs(buckets) do
    gone = gone + bucket[part]
    if gone >= over then return ends(bucket[1]) end
  end
  return ends(newest)
end

local requests_wait, tokens_wait = 0, 0
if most_requests >= 0 and requests + 1 > most_requests then
  requests_wait = wait(requests + 1 - most_requests, 2)
end
if most_tokens >= 0 and tokens + asked > most_tokens then
  tokens_wait = wait(tokens + asked - most_tokens, 3)
end
if requests_wait > 0 and requests_wait >= tokens_wait then
  return {1, math.max(0, most_requests - requests), requests_wait}
end
if tokens_wait > 0 then
  return {2, math.max(0, most_tokens - tokens), tokens_wait}
end

local left_held = -1
if most_held >= 0 then
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  left_held = most_held - redis.call('ZCARD', held) - 1
  if left_held < 0 then return {3, 0, BUSY_MS} end
  redis.call('ZADD', held, now + lease, id)
  if redis.call('PTTL', held) < lease then redis.call('PEXPIRE', held, lease) end
end

if not windowed then return {0, 0, -1, -1, left_held, 0, 0} end
local r, k = parts(redis.call('HGET', key, newest))
redis.call('HSET', key, newest, string.format('%.0f:%.0f', r + 1, k + asked))
redis.call('PEXPIRE', key, (BUCKETS + 1) * BUCKET_MS)
local left_requests, left_tokens = -1, -1
if most_requests >= 0 then left_requests = most_requests - requests - 1 end
if most_tokens >= 0 then left_tokens = most_tokens - tokens - asked end
return {0, newest, left_requests, left_tokens, left_held, ends(oldest), ends(newest)}
