"""What must be one step inside Redis, as Lua: keep-and-publish, reading a history, presence, leases, arrival.

`state` is a hash: `run` (the server's run id), `gen` (changes with every run), `arrivals`. A topic's history is a list `h` of
stamped frames and a hash `m` of `e` (epoch), `g` (the `gen` it was opened under), `o` (top offset) and `b` (the epochs before,
newest first, each with its last offset). Frames expire by the stamp and by the list's own expiry; `m` outlives them, so a
client at the top recovers; when `m` is gone too the next epoch is another. Frames that stand to others are in `newest.py`.

A restart or a failover may have lost the latest frames, and nobody may be left who saw them. So the first frame that is
kept under a new run opens an epoch (as Kafka's leader epochs do, KIP-101). Offsets go on, and what was not lost is still
found under its earlier epoch; an offset beyond its end names a lost frame, not the one that has the number now.

A topic's presence is `pi` (user to info), `po` (user to order of arrival), `pt` (one item for each live connection: a list
whose length is read in one step, and that shrinks even when memory is full), `pv` (epoch and version of the latest
change), and for each user `pa` (all connections, each after its lease) and `pl` (those that live; the others linger).
Every change increments the version and is published in the same step. `n` holds what one node's lease has entered,
`leases` when each lease ends. Times are the server's.

The scripts name keys that they derive, so all keys of a prefix have one home (in a cluster: one slot, see `dialect.py`).
"""

from channeld.broker.redis.newest import CLEAR, CONFLATE, DROP, GATE, MIXED, PLACE, TAKE_ALONG

__all__ = ["SCRIPTS"]

_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

_HISTORY = (
    _NOW
    + MIXED
    + """
local gen = redis.call('HGET', KEYS[1], 'gen') or ''
local cut = string.sub(gen, 1, -13)

-- Epoch, top, the epochs before, whether this run opened the epoch, and the marks of a mixed history.
local function find(meta)
  local m = redis.call('HMGET', meta, 'e', 'o', 'b', 'g', 'x')
  if m[1] and string.sub(m[4] or '', 1, -13) ~= cut and not string.find(meta, ':m:node:', 1, true) then
    redis.call('DEL', meta)
    return
  end
  local marks = m[5]
  if marks then
    local floor, row, key = string.match(marks, '^(%d+) (%d+) (%d+)$')
    marks = {floor = tonumber(floor), row = tonumber(row), key = tonumber(key)}
  end
  if m[1] then return m[1], tonumber(m[2]), m[3] or '', m[4] == gen, marks end
end

-- The last offset that an epoch gave, or nothing for an epoch that is not known.
local function last_of(known, epoch, top, before)
  if known == epoch then return top end
  local _, at = string.find(';' .. before, ';' .. known .. '=', 1, true)
  return at and tonumber(string.match(before, '^%d+', at))
end

-- An epoch's name begins with its time, and never before that of the one before it: positions grow as text.
local function name_of(candidate, epoch)
  local began = epoch and tonumber(string.sub(epoch, 1, 11), 16)
  return string.format('%011x', math.max(now, (began or 0) + 1)) .. string.sub(candidate, 1, 4)
end

local function trim(list, size, ttl)
  local length = redis.call('LLEN', list)
  if length > size then
    redis.call('LTRIM', list, -size, -1)
    length = size
  end
  while length > 0 do
    local oldest = redis.call('LINDEX', list, 0)
    if tonumber(string.sub(oldest, 1, 13)) + ttl > now then break end
    redis.call('LPOP', list)
    length = length - 1
  end
  return length
end

-- The last offset of what is gone for its age or the size: who knows less has missed something.
local function floor_of(list, size, ttl, top, marks)
  if marks then return keyed().settle(list, size, ttl, marks) end
  return top - trim(list, size, ttl)
end

-- The frames after an offset, and the first one's offset, or each one's.
local function after(list, top, offset, marks)
  if offset == top then return {}, 0 end
  if marks then return keyed().collect(list, top, offset, top + 1) end
  return redis.call('LRANGE', list, offset - top, -1), offset + 1
end

local function open(list, meta, candidate, lifetime)
  local epoch, top, before, _, marks = find(meta)
  if epoch then return epoch, top, before, marks end
  epoch = name_of(candidate)
  local made = redis.pcall('HSET', meta, 'e', epoch, 'g', gen, 'o', 0)
  if not (type(made) == 'table' and made.err) then
    redis.call('PEXPIRE', meta, lifetime)
    forget_all(list)
  end
  return epoch, 0, ''
end
"""
)

# ARGV begins with letters for a fresh epoch, and how long a top outlives its frames (ms).
_KEEP = (
    _HISTORY
    + """
local function number(list, meta, count)
  local epoch, top, before, is_of_this_run, marks = find(meta)
  local fresh = not epoch
  if fresh then
    epoch, top, before = name_of(ARGV[1]), 0, ''
  elseif not is_of_this_run then
    before = string.match(epoch .. '=' .. top .. ';' .. before, '^' .. string.rep('[^;]*;?', 8))
    epoch = name_of(ARGV[1], epoch)
  end
  local done = redis.pcall('HSET', meta, 'e', epoch, 'g', gen, 'o', top + count, 'b', before)
  if type(done) == 'table' and done.err then return nil, done.err end
  if fresh then forget_all(list) end
  if marks then keyed().lapse(list, marks) end
  return epoch, top, marks
end

local function head(magic, epoch, offset, count)
  return magic .. struct.pack('>BI4I4I2', #epoch, math.floor(offset / 4294967296), offset % 4294967296, count) .. epoch
end

local function part(skip, payload)
  return struct.pack('>I2I4', #skip, #payload) .. skip .. payload
end
"""
)

# KEYS: state, then list and meta of each run. ARGV after the first two, for each run: its channel, size (0: not kept), ttl
# (ms), count, and skip and payload of each publication.
_PUBLISH = (
    _KEEP
    + """
local function keep(list, meta, size, ttl, first, count)
  local epoch, top, marks = number(list, meta, count)
  if not epoch then return nil, top end
  local stamp, of_keys = string.format('%013.0f', now), marks and keyed()
  for i = 1, count do
    redis.call('RPUSH', list, stamp .. (marks and of_keys.record(top + i, true) or '') .. ARGV[first + 2 * i - 1])
  end
  if marks then
    marks.row = top + count
    of_keys.mark(list, meta, size, ttl, marks)
  else
    trim(list, size, ttl)
  end
  redis.call('PEXPIRE', list, ttl)
  redis.call('PEXPIRE', meta, ttl + ARGV[2])
  return epoch, top + 1
end

local out, a = {0}, 3
for run = 1, (#KEYS - 1) / 2 do
  local size, count = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 3])
  local epoch, offset = '', 0
  if size > 0 then
    epoch, offset = keep(KEYS[2 * run], KEYS[2 * run + 1], size, tonumber(ARGV[a + 2]), a + 4, count)
  end
  if epoch then
    local parts = {head('C1', epoch, offset, count)}
    for i = 1, count do parts[i + 1] = part(ARGV[a + 2 + 2 * i], ARGV[a + 3 + 2 * i]) end
    redis.call('PUBLISH', ARGV[a], table.concat(parts))
    out[2 * run], out[2 * run + 1] = epoch, offset
  else
    out[2 * run], out[2 * run + 1] = '!' .. offset, 0
  end
  a = a + 4 + 2 * count
end
return out
"""
)

# The last key is a sorted set of an owner's keys by when their time is over; the last arguments are a key, its time (ms)
# and how many keys an owner may have. `taken` says whether somebody has it; else it is had from now on.
_TAKE = (
    _NOW
    + """
local owner, key = KEYS[#KEYS], ARGV[#ARGV - 2]
local life, most = tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV])
local ends = redis.call('ZSCORE', owner, key)
local taken = ends and tonumber(ends) > now
if not taken then
  redis.call('ZADD', owner, now + life, key)
  redis.call('ZREMRANGEBYRANK', owner, 0, -most - 1)
  if redis.call('PTTL', owner) < life then redis.call('PEXPIRE', owner, life) end
end
"""
)

# As `publish`, of one publication, behind what `_TAKE` asks for.
_PUBLISH_ONCE = _TAKE + "if taken then return {-1} end\n" + _PUBLISH

_PLACE_ONCE = _TAKE + "if taken then return {-1} end\n" + _KEEP + PLACE

_TAKE_ONCE = _TAKE + "return taken and 0 or 1\n"

# KEYS: an allowance. ARGV: the time that a token takes, and how far ahead of it one may be (both ms). The key is when the
# allowance is full again (ms), and goes then. Returns 0, or in how many ms there is a token.
_SPEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local full, ahead = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[2])
-- A thousandth of a millisecond forgives what the text loses.
if full - now > ahead + 0.001 then return math.max(1, math.ceil(full - now - ahead)) end
full = math.max(full, now) + ARGV[1]
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.max(1, math.ceil(full - now)))
return 0
"""

# KEYS: the debts of an account, each by when it is paid (ms). ARGV: seconds that are left, as JSON, letters that make it
# another than the rest, its life (ms), how many are kept. A debt is when it was left, the letters, the JSON.
_OWE = (
    _NOW
    + """
redis.call('ZADD', KEYS[1], now + ARGV[3], string.format('%013.0f', now) .. ARGV[2] .. ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[4] - 1)
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 0
"""
)

# KEYS: the debts. Returns how old the largest is (ms), and its JSON; nothing without one.
_REDEEM = (
    _NOW
    + """
local largest = redis.call('ZPOPMAX', KEYS[1])
if not largest[1] or tonumber(largest[2]) <= now then return {} end
return {math.max(0, now - string.sub(largest[1], 1, 13)), string.sub(largest[1], 26)}
"""
)

# KEYS: an owner's keys. ARGV: a key.
_IS_TAKEN = (
    _NOW
    + """
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
return (ends and tonumber(ends) > now) and 1 or 0
"""
)

# KEYS: state, list, meta. ARGV: letters for a fresh epoch, size, ttl, lifetime of the meta, epoch or '', offset. Returns
# epoch, top, whether nothing is missing, the frames, the epochs before, and the first frame's offset or a list of all.
_SINCE = (
    _HISTORY
    + """
local epoch, top, before, marks = open(KEYS[2], KEYS[3], ARGV[1], ARGV[4])
if ARGV[5] == '' then return {epoch, top, 1, {}, before, 0} end
local floor = floor_of(KEYS[2], tonumber(ARGV[2]), tonumber(ARGV[3]), top, marks)
local offset, given = tonumber(ARGV[6]), last_of(ARGV[5], epoch, top, before)
if not given or offset > given or offset < floor then return {epoch, top, 0, {}, before, 0} end
local frames, at = after(KEYS[2], top, offset, marks)
return {epoch, top, 1, frames, before, at}
"""
)

# KEYS and ARGV as above, with the limit at the end, and 1 for a replay. Returns also whether there are earlier frames.
_BEFORE = (
    _HISTORY
    + """
local list, limit = KEYS[2], tonumber(ARGV[7])
local epoch, top, before, marks = open(list, KEYS[3], ARGV[1], ARGV[4])
if ARGV[5] ~= '' and not last_of(ARGV[5], epoch, top, before) then return {epoch, top, 0, {}, before, 0, 0} end
local stop = ARGV[5] == '' and top + 1 or tonumber(ARGV[6])
if marks then
  local of_keys = keyed()
  of_keys.settle(list, tonumber(ARGV[2]), tonumber(ARGV[3]), marks)
  local frames, offsets, has_more = of_keys.collect(list, top, 0, stop, limit, ARGV[8] == '1')
  return {epoch, top, 1, frames, before, offsets, has_more and 1 or 0}
end
local length = trim(list, tonumber(ARGV[2]), tonumber(ARGV[3]))
local last = math.min(length, math.max(0, stop - 1 - top + length))
local first = math.max(0, last - limit)
local frames = {}
if last > first then frames = redis.call('LRANGE', list, first, last - 1) end
return {epoch, top, 1, frames, before, top - length + 1 + first, first > 0 and 1 or 0}
"""
)

# KEYS: state, then list and meta of each topic. ARGV: for each `t` (the top only) or `f` (fill), epoch, offset. An empty
# epoch in a fill: there was no history then, so all there is was missed. Makes nothing; a missing history is ''.
_FILL = (
    _HISTORY
    + """
local out = {}
for i = 1, (#KEYS - 1) / 2 do
  local list, epoch, top, before, _, marks = KEYS[2 * i], find(KEYS[2 * i + 1])
  local known, offset = ARGV[3 * i - 1], tonumber(ARGV[3 * i])
  if ARGV[3 * i - 2] == 't' or not epoch then
    out[i] = {epoch or '', top or 0, (epoch or known == '') and 1 or 0, {}, before or '', 0}
  else
    local given = known == '' and top or last_of(known, epoch, top, before)
    if not given or offset > given or offset < floor_of(list, math.huge, math.huge, top, marks) then
      out[i] = {epoch, top, 0, {}, before, 0}
    else
      local frames, at = after(list, top, offset, marks)
      out[i] = {epoch, top, 1, frames, before, at}
    end
  end
end
return out
"""
)

# `tell` numbers a change and publishes it: `j` came, `l` left, `e` left as the last one of all, `u` other info, `n` only
# another number of connections. When nobody is left the numbers end too; the next ones are of another epoch.
# When memory is full a leave still happens; it has the version 0, and who hears of it reads the whole again.
_PRESENCE = (
    DROP
    + GATE
    + TAKE_ALONG
    + """
local base = KEYS[1]

local function key(kind, topic) return base .. ':p' .. kind .. ':' .. topic end

local function connections(topic, user)
  local name = topic .. ':' .. redis.sha1hex(user)
  return key('a', name), key('l', name)
end

local function tell(kind, topic, user, info, skip)
  local v = key('v', topic)
  local epoch = redis.call('HGET', v, 'e')
  local version = redis.pcall('HINCRBY', v, 'v', 1)
  if type(version) ~= 'number' then
    version = 0
  elseif not epoch then
    local clock = redis.call('TIME')
    epoch = string.format('%x%05x', clock[1], clock[2])
    redis.call('HSET', v, 'e', epoch)
  end
  if version > 0 then redis.call('PEXPIRE', v, 604800000) end
  epoch = epoch or ''
  local _, live = connections(topic, user)
  local count = redis.call('SCARD', live)
  redis.call('PUBLISH', base .. ':c:' .. topic, 'P1' .. kind .. struct.pack('>BI4I4I4I2I4I4', #epoch,
    math.floor(version / 4294967296), version % 4294967296, count, #skip, #user, #info) .. epoch .. skip .. user .. info)
  return epoch, version
end

-- Info that ends by naming the connection that goes (`hub/shown.py`), without the name: nobody else takes it back where a
-- node has died. Nothing for other info. It is a cut in the text, since cjson would change other values.
local function disown(info, connection)
  local last = '"by":"' .. connection .. '"}}'
  if string.sub(info, 1, 9) == '{"\\\\u0000"' and string.sub(info, -#last) == last then
    return string.sub(info, 1, -#last - 1) .. '"by":null}}'
  end
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
  local out = {1}
  if user ~= '' then
    take_along(base .. ':h:' .. topic, base .. ':m:' .. topic, user)
    out = {1, tell(is_empty and 'e' or 'l', topic, user, '', '')}
  end
  if is_empty then redis.call('DEL', key('v', topic)) end
  return out
end
"""
)

# KEYS: base, state. ARGV: lease, topic key, user, connection, entry, info, alive, the lease it is taken over from or ''.
# The entry is the topic key and a JSON list of kind, channel, name, user, connection: enough to undo it for a node that
# died. Returns whether the user was not there, then epoch and version if anything changed.
_ENTER = (
    _PRESENCE
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
local known = redis.call('HGET', key('i', topic), user)
local differs = known ~= ARGV[6] and not (known and moved)
if differs then redis.call('HSET', key('i', topic), user, ARGV[6]) end
if first then redis.call('ZADD', key('o', topic), redis.call('HINCRBY', KEYS[2], 'arrivals', 1), user) end
if user == '' then return {first and 1 or 0} end
local kind = first and 'j' or differs and 'u' or gained ~= 0 and 'n'
if not kind then return {0} end
return {first and 1 or 0, tell(kind, topic, user, kind == 'n' and '' or ARGV[6], connection)}
"""
)

_LINGER = (
    _PRESENCE
    + """
local _, live = connections(ARGV[2], ARGV[3])
if redis.call('SREM', live, ARGV[1] .. ARGV[4]) == 0 then return {0} end
redis.call('LPOP', key('t', ARGV[2]))
if ARGV[3] == '' then return {0} end
return {0, tell('n', ARGV[2], ARGV[3], '', '')}
"""
)

_LEAVE = (
    _PRESENCE
    + """
redis.call('SREM', base .. ':n:' .. ARGV[1], ARGV[5])
return forget(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
"""
)

# KEYS: base. ARGV: topic key, the order after which the page begins or '', its length, the epoch and version that are
# known or ''. Returns epoch, version, where the next page begins ('' after the last; 'same': all is as known), then user,
# info and live connections, in turn.
_PRESENT = (
    _PRESENCE
    + """
local topic = ARGV[1]
local v = redis.call('HMGET', key('v', topic), 'e', 'v')
local epoch, version = v[1] or '', tonumber(v[2] or 0)
if ARGV[4] ~= '' and ARGV[4] == epoch and tonumber(ARGV[5]) == version then return {epoch, version, 'same'} end
local after = ARGV[2] == '' and '-inf' or '(' .. ARGV[2]
local rows = redis.call('ZRANGEBYSCORE', key('o', topic), after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local out = {epoch, version, #rows == 2 * ARGV[3] and rows[#rows] or ''}
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
"""
)

# KEYS: base. ARGV: topic key. Returns users and live connections.
_COUNT = (
    _PRESENCE
    + """
local anonymous = redis.call('ZSCORE', key('o', ARGV[1]), '') and 1 or 0
return {redis.call('ZCARD', key('o', ARGV[1])) - anonymous, redis.call('LLEN', key('t', ARGV[1]))}
"""
)

# KEYS: base. ARGV: a lease whose node stops, another that begins with this, its length (ms), entries that linger until it ends.
_BEQUEATH = (
    _NOW
    + _PRESENCE
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

# KEYS: base. ARGV: the lease, how many entries to undo, who undoes it: one at a time, so that the order is one's. Returns how
# many are left, then the entries that were a user's last.
_REAP = (
    _PRESENCE
    + """
local entries, turn = base .. ':n:' .. ARGV[1], base .. ':reaping:' .. ARGV[1]
local by = redis.call('GET', turn)
if by and by ~= ARGV[3] then return {0} end
redis.call('SET', turn, ARGV[3], 'EX', 10)
redis.call('SET', base .. ':reaped:' .. ARGV[1], 1, 'EX', 86400)
local out = {0}
for _, entry in ipairs(redis.call('SPOP', entries, ARGV[2])) do
  local fields = cjson.decode(string.sub(entry, 33))
  if forget(ARGV[1], string.sub(entry, 1, 32), fields[4], fields[5])[1] == 1 then out[#out + 1] = string.sub(entry, 33) end
end
out[1] = redis.call('SCARD', entries)
if out[1] == 0 then redis.call('ZREM', base .. ':leases', ARGV[1]) end
return out
"""
)

# KEYS: base. ARGV: lease, its length (ms). Returns -1: it is gone; 0: it had run out; 1: it was valid; then leases
# that have ended.
_RENEW = (
    _NOW
    + """
local leases = KEYS[1] .. ':leases'
local ends = redis.call('ZSCORE', leases, ARGV[1])
if not ends then return {-1} end
redis.call('ZADD', leases, now + ARGV[2], ARGV[1])
return {tonumber(ends) > now and 1 or 0, unpack(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 10))}
"""
)

# How the prefix is spread, which nodes that are there have to agree on (`layout.py`). Where another layout was in force a topic
# may have been elsewhere meanwhile: the `gen` gets another beginning, and histories from before are not found again.
# KEYS: base, state. ARGV: lease, its length, the lease before or '', how it is spread, twelve letters, whether that is fixed.
# Returns whether it is agreed to, and what is remembered.
_VOUCH = (
    _NOW
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
return {1, ARGV[4]}
"""
)

# KEYS: base, state. ARGV: lease, its length, the server's run id, a fresh gen, the lease it had before. Returns whether
# the earlier lease was reaped by another.
_ARRIVE = (
    _NOW
    + """
if redis.call('HGET', KEYS[2], 'run') ~= ARGV[3] then
  redis.call('HSET', KEYS[2], 'run', ARGV[3], 'gen', (redis.call('HGET', KEYS[2], 'cut') or '') .. ARGV[4])
end
redis.call('ZADD', KEYS[1] .. ':leases', now + ARGV[2], ARGV[1])
return redis.call('EXISTS', KEYS[1] .. ':reaped:' .. ARGV[5])
"""
)

# KEYS: base. ARGV: lease. Whatever it still holds is reaped by the others at once.
_DEPART = """
redis.call('ZREM', KEYS[1] .. ':nodes', ARGV[1])
redis.call('ZADD', KEYS[1] .. ':leases', 'XX', 0, ARGV[1])
if redis.call('EXISTS', KEYS[1] .. ':n:' .. ARGV[1]) == 0 then redis.call('ZREM', KEYS[1] .. ':leases', ARGV[1]) end
return 0
"""

SCRIPTS = {
    "publish": _PUBLISH,
    "publish_once": _PUBLISH_ONCE,
    "place": _KEEP + PLACE,
    "place_once": _PLACE_ONCE,
    "conflate": _KEEP + CONFLATE,
    "conflate_once": _TAKE + "if taken then return {-1} end\n" + _KEEP + CONFLATE,
    "take_once": _TAKE_ONCE,
    "is_taken": _IS_TAKEN,
    "spend": _SPEND,
    "time": "return redis.call('TIME')\n",
    "owe": _OWE,
    "redeem": _REDEEM,
    "clear": _HISTORY + CLEAR,
    "since": _SINCE,
    "before": _BEFORE,
    "fill": _FILL,
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
