-- The stored answer, else who leads; whoever comes first leads.
-- KEYS: the answer's name, the lead's name (one hash tag). ARGV: me, lease in ms.
local value = redis.call('GET', KEYS[1])
-- An empty value is nobody's answer: it is led past, and so replaced.
if value and value ~= '' then return {value, ''} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'', ARGV[1]} end
return {'', redis.call('GET', KEYS[2]) or ARGV[1]}
