-- Give up the lead, unless another process leads by now.
-- KEYS: the lead's name. ARGV: me.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
