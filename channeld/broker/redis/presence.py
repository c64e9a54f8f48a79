"""Presence and leases inside Redis, as Lua: who enters, leaves and is present, and which nodes are alive.

A topic's presence is kept in `pi` (user to info), `po` (user to order of arrival), `pt` (a list with one item for each live connection,
whose length is read in one step and which shrinks even when memory is full) and `pv` (epoch and version of the latest change). For each
user there are `pa` (all connections, prefixed by their lease) and `pl` (the live ones; the others linger). Every change increments the
version and is published in the same step. The first and the last anonymous connection have a count of their own, which is not published.
`n` holds what one node's lease has entered, and `leases` holds the end of each lease.
"""

from channeld.broker.redis.newest import TAKE_ALONG

NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

# `tell` numbers a change and publishes it: `j` joined, `l` left, `e` left as the last user, `u` other info, `n` only another number of
# connections. When nobody is left, the numbers are deleted, and the next ones have another epoch. When memory is full, a leave still
# happens: it has version 0, and nodes that hear of it read the whole presence again.
_TELL = """
local base = KEYS[1]

local function key(kind, topic) return base .. ':p' .. kind .. ':' .. topic end

local function connections(topic, user)
  local name = topic .. ':' .. redis.sha1hex(user)
  return key('a', name), key('l', name)
end

local function number(topic, stream)
  local v = key('v', topic)
  local epoch = redis.call('HGET', v, 'e')
  local version = redis.pcall('HINCRBY', v, stream, 1)
  if type(version) ~= 'number' then
    version = 0
  elseif not epoch then
    local clock = redis.call('TIME')
    epoch = string.format('%x%05x', clock[1], clock[2])
    redis.call('HSET', v, 'e', epoch)
  end
  return epoch or '', version
end

local function tell(kind, topic, user, info, skip, count)
  local epoch, version = number(topic, 'v')
  if not count then
    local _, live = connections(topic, user)
    count = redis.call('SCARD', live)
  end
  redis.call('PUBLISH', base .. ':c:' .. topic, 'P1' .. kind .. struct.pack('>BI4I4I4I2I4I4', #epoch,
    math.floor(version / 4294967296), version % 4294967296, count, #skip, #user, #info) .. epoch .. skip .. user .. info)
  return epoch, version
end
"""

_PAGE = """
-- Returns epoch, version, where the next page begins ('' after the last; 'same': nothing has changed), then for each user the name, the
-- info and the number of live connections.
local function page(topic, after, length, known, at)
  local v = redis.call('HMGET', key('v', topic), 'e', 'v')
  local epoch, version = v[1] or '', tonumber(v[2] or 0)
  if known ~= '' and known == epoch and tonumber(at) == version then return {epoch, version, 'same'} end
  local first = after == '' and '-inf' or '(' .. after
  local rows = redis.call('ZRANGEBYSCORE', key('o', topic), first, '+inf', 'WITHSCORES', 'LIMIT', 0, length)
  local out = {epoch, version, #rows == 2 * length and rows[#rows] or ''}
  for i = 1, #rows, 2 do
    local user = rows[i]
    if user ~= '' then
      local _, live = connections(topic, user)
      out[#out + 1] = user
      out[#out + 1] = redis.call('HGET', key('i', topic), user) or '{}'
      out[#out + 1] = redis.call('SCARD', live)
    end
  end
  return out
end
"""

_FORGET = (
    _TELL
    + """
-- If the info ends with the name of the connection that leaves (`hub/shown.py`), the info without that name: if a node has died, nobody
-- else would remove the state. Nil for other info. It edits the text, because cjson would change other values.
local function disown(info, connection)
  local last = '"by":"' .. connection .. '"}}'
  if string.sub(info, 1, 9) == '{"\\\\u0000"' and string.sub(info, -#last) == last then
    return string.sub(info, 1, -#last - 1) .. '"by":null}}'
  end
end

-- Removes what belongs to a user who has left; few rooms keep such frames.
local function take_along(topic, user)
  local list, meta = base .. ':h:' .. topic, base .. ':m:' .. topic
  if redis.call('EXISTS', list .. ':w') == 0 then return end
"""
    + TAKE_ALONG
    + """
end

local function forget(lease, topic, user, connection)
  local all, live = connections(topic, user)
  if redis.call('SREM', all, lease .. connection) == 0 then return {0} end
  local lived = redis.call('SREM', live, lease .. connection) == 1
  if lived then redis.call('LPOP', key('t', topic)) end
  if redis.call('EXISTS', all) == 1 then
    local known = user ~= '' and redis.call('HGET', key('i', topic), user)
    local info = known and disown(known, connection)
    if info and type(redis.pcall('HSET', key('i', topic), user, info)) == 'number' then
      return {0, tell('u', topic, user, info, '')}
    end
    if lived and user ~= '' then return {0, tell('n', topic, user, '', '')} end
    return {0}
  end
  redis.call('HDEL', key('i', topic), user)
  redis.call('ZREM', key('o', topic), user)
  local is_empty = redis.call('EXISTS', key('o', topic)) == 0
  local out
  if user == '' then
    out = {1, number(topic, 'a')}
  else
    take_along(topic, user)
    out = {1, tell(is_empty and 'e' or 'l', topic, user, '', '', 0)}
  end
  if is_empty then redis.call('DEL', key('v', topic)) end
  return out
end
"""
)

# KEYS: base, state. ARGV: lease, topic key, user, connection, entry, info, alive, the lease that it is taken over from or '', and the
# length of the first page of users if that is wanted. The entry is the topic key and a JSON list of kind, channel, name, user and
# connection, which suffices to undo it for a node that died. Returns whether the user was not present, then epoch and version if
# anything changed, and the page.
_ENTER = (
    _TELL
    + """
local lease, topic, user, connection, before = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[8]
local all, live = connections(topic, user)
local first, gained, moved = redis.call('EXISTS', all) == 0, 0, false
redis.call('SADD', all, lease .. connection)
if ARGV[7] == '1' then gained = redis.call('SADD', live, lease .. connection) end
if before ~= '' then
  moved = redis.call('SREM', all, before .. connection) == 1
  gained = gained - redis.call('SREM', live, before .. connection)
  redis.call('SREM', base .. ':n:' .. before, ARGV[5])
end
redis.call('SADD', base .. ':n:' .. lease, ARGV[5])
if gained > 0 then redis.call('RPUSH', key('t', topic), '') end
if gained < 0 then redis.call('LPOP', key('t', topic)) end
local known = not first and redis.call('HGET', key('i', topic), user)
local differs = known ~= ARGV[6] and not (known and moved)
if differs then redis.call('HSET', key('i', topic), user, ARGV[6]) end
if first then redis.call('ZADD', key('o', topic), redis.call('HINCRBY', KEYS[2], 'arrivals', 1), user) end
if user == '' then
  if first then return {1, number(topic, 'a')} end
  return {0}
end
local kind, out = first and 'j' or differs and 'u' or gained ~= 0 and 'n', {0}
if kind then
  out = {first and 1 or 0, tell(kind, topic, user, kind == 'n' and '' or ARGV[6], connection, first and tonumber(ARGV[7]))}
end
if not ARGV[9] then return out end
-- This is the first change, so nobody else is present.
if first and out[3] == 1 then
  out[4] = {out[2], 1, '', user, ARGV[6], tonumber(ARGV[7])}
  return out
end
"""
    + _PAGE
    + """
out[#out + 1] = page(topic, '', ARGV[9], '', 0)
return out
"""
)

_LINGER = (
    _TELL
    + """
local _, live = connections(ARGV[2], ARGV[3])
if redis.call('SREM', live, ARGV[1] .. ARGV[4]) == 0 then return {0} end
redis.call('LPOP', key('t', ARGV[2]))
if ARGV[3] == '' then return {0} end
return {0, tell('n', ARGV[2], ARGV[3], '', '')}
"""
)

_LEAVE = (
    _FORGET
    + """
redis.call('SREM', base .. ':n:' .. ARGV[1], ARGV[5])
return forget(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
"""
)

# KEYS: base. ARGV: topic key, the order of arrival after which the page begins or '', its length, the known epoch and version or ''.
_PRESENT = _TELL + _PAGE + "return page(unpack(ARGV))\n"

# KEYS: base. ARGV: topic key. Returns the numbers of users and of live connections.
_COUNT = (
    _TELL
    + """
local anonymous = redis.call('ZSCORE', key('o', ARGV[1]), '') and 1 or 0
return {redis.call('ZCARD', key('o', ARGV[1])) - anonymous, redis.call('LLEN', key('t', ARGV[1]))}
"""
)

# KEYS: base. ARGV: the lease of a node that stops, a new lease, its length (ms), entries that linger until the new lease ends.
_BEQUEATH = (
    NOW
    + _TELL
    + """
local lease, heir = ARGV[1], ARGV[2]
local held, taken = base .. ':n:' .. lease, base .. ':n:' .. heir
redis.call('ZADD', base .. ':leases', now + ARGV[3], heir)
for i = 4, #ARGV do
  if redis.call('SMOVE', held, taken, ARGV[i]) == 1 then
    local topic, fields = string.sub(ARGV[i], 1, 32), cjson.decode(string.sub(ARGV[i], 33))
    local all, live = connections(topic, fields[4])
    redis.call('SADD', all, heir .. fields[5])
    redis.call('SREM', all, lease .. fields[5])
    if redis.call('SREM', live, lease .. fields[5]) == 1 then redis.call('LPOP', key('t', topic)) end
  end
end
return 0
"""
)

# KEYS: base. ARGV: the lease, how many entries to undo, and the lease of the node that does so. One node at a time reaps a lease, so that
# there is one order. Returns how many entries are left, then each entry that was its user's last one, with epoch and version.
_REAP = (
    _FORGET
    + """
local entries, turn = base .. ':n:' .. ARGV[1], base .. ':reaping:' .. ARGV[1]
local by = redis.call('GET', turn)
if by and by ~= ARGV[3] then return {0} end
redis.call('SET', turn, ARGV[3], 'EX', 10)
redis.call('SET', base .. ':reaped:' .. ARGV[1], 1, 'EX', 86400)
local out = {0}
for _, entry in ipairs(redis.call('SPOP', entries, ARGV[2])) do
  local fields = cjson.decode(string.sub(entry, 33))
  local gone = forget(ARGV[1], string.sub(entry, 1, 32), fields[4], fields[5])
  if gone[1] == 1 then
    for _, part in ipairs({string.sub(entry, 33), gone[2], gone[3]}) do out[#out + 1] = part end
  end
end
out[1] = redis.call('SCARD', entries)
if out[1] == 0 then redis.call('ZREM', base .. ':leases', ARGV[1]) end
return out
"""
)

# KEYS: base. ARGV: lease, its length (ms). Returns -1 (it is gone), 0 (it had expired) or 1 (it was valid), then leases that have ended.
_RENEW = (
    NOW
    + """
local leases = KEYS[1] .. ':leases'
local ends = redis.call('ZSCORE', leases, ARGV[1])
if not ends then return {-1} end
redis.call('ZADD', leases, now + ARGV[2], ARGV[1])
return {tonumber(ends) > now and 1 or 0, unpack(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 10))}
"""
)

# All nodes must agree on how the prefix is spread (`layout.py`). While another layout was in force, a topic may have been elsewhere, so the
# `gen` gets a new beginning and earlier histories are not used again. Nodes of other versions are only reported.
# KEYS: base, state. ARGV: lease, its length, the lease before or '', the layout, twelve letters, whether the layout is fixed, the node's
# version. Returns whether the layout is accepted, the stored layout, and the other versions among the nodes.
_VOUCH = (
    NOW
    + """
local nodes = KEYS[1] .. ':nodes'
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', now)
if ARGV[3] ~= '' then redis.call('ZREM', nodes, ARGV[3]) end
local known = redis.call('HGET', KEYS[2], 'layout')
if (known or '') ~= ARGV[4] then
  local others = redis.call('ZCARD', nodes) - (redis.call('ZSCORE', nodes, ARGV[1]) and 1 or 0)
  if others > 0 or (known and ARGV[6] == '1') then return {0, known or ''} end
  redis.call('HSET', KEYS[2], 'layout', ARGV[4], 'cut', ARGV[5], 'gen', ARGV[5] .. ARGV[5])
end
redis.call('ZADD', nodes, now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', nodes, 86400000)
local versions, out, told = KEYS[1] .. ':versions', {1, ARGV[4]}, {[ARGV[7]] = true}
redis.call('ZREMRANGEBYSCORE', versions, '-inf', now)
redis.call('ZADD', versions, now + ARGV[2], ARGV[1] .. ARGV[7])
redis.call('PEXPIRE', versions, 86400000)
for _, node in ipairs(redis.call('ZRANGE', versions, 0, -1)) do
  local version = string.sub(node, #ARGV[1] + 1)
  if not told[version] then out[#out + 1], told[version] = version, true end
end
return out
"""
)

# KEYS: base, state. ARGV: lease, its length, the server's run id, a new gen, the node's earlier lease. Returns whether another node has
# reaped the earlier lease.
_ARRIVE = (
    NOW
    + """
if redis.call('HGET', KEYS[2], 'run') ~= ARGV[3] then
  redis.call('HSET', KEYS[2], 'run', ARGV[3], 'gen', (redis.call('HGET', KEYS[2], 'cut') or '') .. ARGV[4])
end
redis.call('ZADD', KEYS[1] .. ':leases', now + ARGV[2], ARGV[1])
return redis.call('EXISTS', KEYS[1] .. ':reaped:' .. ARGV[5])
"""
)

# KEYS: base. ARGV: lease, version. The other nodes reap at once what the lease still holds.
_DEPART = """
redis.call('ZREM', KEYS[1] .. ':nodes', ARGV[1])
redis.call('ZREM', KEYS[1] .. ':versions', ARGV[1] .. ARGV[2])
redis.call('ZADD', KEYS[1] .. ':leases', 'XX', 0, ARGV[1])
if redis.call('EXISTS', KEYS[1] .. ':n:' .. ARGV[1]) == 0 then redis.call('ZREM', KEYS[1] .. ':leases', ARGV[1]) end
return 0
"""

PRESENCE = {
    "enter": _ENTER,
    "linger": _LINGER,
    "leave": _LEAVE,
    "present": _PRESENT,
    "count": _COUNT,
    "bequeath": _BEQUEATH,
    "reap": _REAP,
    "renew": _RENEW,
    "vouch": _VOUCH,
    "arrive": _ARRIVE,
    "depart": _DEPART,
}
