-- The stored answer, or the leader's name: the first process to ask becomes the leader.
-- KEYS: the answer's name, the lead's name (one hash tag). ARGV: me, lease in ms.
local value = redis.call('GET', KEYS[1])
-- An empty value is no answer: a leader replaces it.
if value and value ~= '' then return {value, ''} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'', ARGV[1]} end
return {'', redis.call('GET', KEYS[2]) or ARGV[1]}
