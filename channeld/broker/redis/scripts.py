"""Lua scripts for atomic steps inside Redis: keep and publish, read a history, keys, allowances; and their table.

`state` is a hash: `run` (the server's run id), `gen` (changes with every run), `arrivals`.

A topic's history is a list `h` of stamped frames, and a hash `m` with `e` (epoch), `g` (the `gen` under which it was opened), `o` (top
offset), `b` (the epochs before, newest first, each with its last offset) and `k` (letters that its channel's mark `k` has as well). The
mark is deleted when frames of the channel are published without being kept, and the next mark has other letters. So a history whose
letters differ from the mark has missed frames and is not used again.

Frames expire by their stamp and by the list's own expiry. `m` outlives them, so that a client at the top recovers. When `m` is gone as
well, the next history has another epoch. Frames with a `Placing` are in `newest.py`, presence and leases in `presence.py`.

A restart or a failover may lose the latest frames, and perhaps nobody who saw them is left. So the first frame kept under a new run
opens a new epoch (like Kafka's leader epochs, KIP-101). Offsets continue, and frames that were not lost are still found under their
earlier epoch. An offset beyond that epoch's end is a lost frame, not the one that has the number now.

Times are the server's. The scripts derive names of keys, so all keys of a prefix are on one server (in a cluster: in one slot, see `dialect.py`).
"""

import hashlib
from typing import Final

from channeld import __version__
from channeld.broker.redis.newest import CLEAR, CONFLATE, MIXED, PLACE
from channeld.broker.redis.presence import NOW, PRESENCE

# Each script defines only the functions that it needs, because defining one costs Redis as much as a command. `_FIND` reads a history's
# meta, `_OPEN` also creates it, `_TRIM` is for scripts that keep or read frames, and `_READ` for those that read them.
_FIND = (
    NOW
    + """
local gen = redis.call('HGET', KEYS[1], 'gen') or ''
local cut = string.sub(gen, 1, -13)

local function forget_all(list)
  redis.call('DEL', list, list .. ':k', list .. ':y', list .. ':w')
end

-- Returns epoch, top, the epochs before, whether this run opened the epoch, and the marks of a mixed history. For a lost history, only
-- the sixth result is set: its epoch.
local function find(meta, mark)
  local m = redis.call('HMGET', meta, 'e', 'o', 'b', 'g', 'x', 'k')
  if not m[1] then return end
  local floor, row, shown, key = string.match(m[5] or '0 0 0 0', '^(%d+) (%d+) (%d+) (%d+)$')
  local is_lost = string.sub(m[4] or '', 1, -13) ~= cut or m[6] ~= redis.call('GET', mark) or not floor
  if is_lost and not string.find(meta, ':m:node:', 1, true) then
    redis.call('DEL', meta)
    return nil, nil, nil, nil, nil, m[1]
  end
  local marks = m[5] and {floor = tonumber(floor), row = tonumber(row), shown = tonumber(shown), key = tonumber(key)}
  return m[1], tonumber(m[2]), m[3] or '', m[4] == gen, marks
end
"""
)

_MAKE = """
-- The letters of a channel's mark, which is created if there is none; empty if there is no memory for it.
local function marked(mark, letters)
  local known = redis.call('GET', mark)
  return known or (redis.pcall('SET', mark, letters).ok and letters or '')
end

-- An epoch's name begins with its time, which is always later than that of the epoch before it, so positions grow as text.
local function name_of(candidate, epoch)
  local began = epoch and tonumber(string.sub(epoch, 1, 11), 16)
  return string.format('%011x', math.max(now, (began or 0) + 1)) .. string.sub(candidate, 1, 4)
end
"""

_OPEN = (
    _FIND
    + _MAKE
    + """
local function open(list, meta, mark, candidate, lifetime)
  local epoch, top, before, _, marks, lost = find(meta, mark)
  if epoch then return epoch, top, before, marks end
  epoch = name_of(candidate, lost)
  local made = redis.pcall('HSET', meta, 'e', epoch, 'g', gen, 'o', 0, 'k', marked(mark, candidate))
  if not (type(made) == 'table' and made.err) then
    redis.call('PEXPIRE', meta, lifetime)
    forget_all(list)
  end
  return epoch, 0, ''
end
"""
)

_TRIM = (
    MIXED
    + """
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
"""
)

_READ = (
    _TRIM
    + """
-- The last offset of an epoch; nil for an unknown epoch.
local function last_of(known, epoch, top, before)
  if known == epoch then return top end
  local _, at = string.find(';' .. before, ';' .. known .. '=', 1, true)
  return at and tonumber(string.match(before, '^%d+', at))
end

-- The last offset that was dropped because of age or size. A client with a smaller offset has missed frames.
local function floor_of(list, size, ttl, top, marks)
  if marks then return keyed().settle(list, size, ttl, marks) end
  return top - trim(list, size, ttl)
end

-- Frames of a plain history from an index of its list, upwards or downwards, and whether there are more than fit into the reply.
local function walk(list, at, step, most)
  local frames, kept = {}, at >= 0 and redis.call('LINDEX', list, at)
  while kept and #frames < most and left > 0 do
    frames[#frames + 1], left = kept, left - #kept
    at = at + step
    kept = at >= 0 and redis.call('LINDEX', list, at)
  end
  return frames, kept and 1 or 0
end

-- The frames after an offset, the offset of the first one (or of each), and whether there are more.
local function after(list, floor, top, offset, marks, most, hidden)
  if offset >= top then return {}, 0, 0 end
  if marks then
    local frames, offsets, has_more = keyed().collect(list, offset, 1, most, hidden)
    return frames, offsets, has_more and 1 or 0
  end
  local frames, has_more = walk(list, offset - floor, 1, most)
  return frames, offset + 1, has_more
end
"""
)

# ARGV begins with letters for a new epoch, and how long a top outlives its frames (ms).
_KEEP = (
    _FIND
    + _MAKE
    + _TRIM
    + """
local function number(list, meta, mark, count)
  local epoch, top, before, is_of_this_run, marks, lost = find(meta, mark)
  local fresh = not epoch
  if fresh then
    epoch, top, before = name_of(ARGV[1], lost), 0, ''
  elseif not is_of_this_run then
    before = string.match(epoch .. '=' .. top .. ';' .. before, '^' .. string.rep('[^;]*;?', 8))
    epoch = name_of(ARGV[1], epoch)
  end
  local done = redis.pcall('HSET', meta, 'e', epoch, 'g', gen, 'o', top + count, 'b', before)
  if type(done) == 'table' and done.err then return nil, done.err end
  if fresh then
    redis.call('HSET', meta, 'k', marked(mark, ARGV[1]))
    forget_all(list)
  end
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

# KEYS: state, then list, meta and mark of each run of publications. ARGV after the first two, for each run: its channel, size (0: not
# kept), ttl (ms), count, and skip and payload of each publication.
_PUBLISH = (
    _KEEP
    + """
local function keep(list, meta, mark, size, ttl, first, count)
  local epoch, top, marks = number(list, meta, mark, count)
  if not epoch then return nil, top end
  local stamp, of_keys = string.format('%013.0f', now), marks and keyed()
  for i = 1, count do
    redis.call('RPUSH', list, stamp .. (marks and of_keys.record(top + i, true, marks) or '') .. ARGV[first + 2 * i - 1])
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
for run = 1, (#KEYS - 1) / 3 do
  local size, count = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 3])
  local epoch, offset = '', 0
  if size > 0 then
    local at = 3 * run - 1
    epoch, offset = keep(KEYS[at], KEYS[at + 1], KEYS[at + 2], size, tonumber(ARGV[a + 2]), a + 4, count)
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

# The last of KEYS is a sorted set of an owner's keys by expiry. The last of ARGV are a key, its lifetime (ms) and the maximum number of
# keys of an owner. `taken` says whether the key was taken already; otherwise it is taken now.
_TAKE = (
    NOW
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

# Like `publish`, for one publication, followed by the arguments of `_TAKE`.
_PUBLISH_ONCE = _TAKE + "if taken then return {-1} end\n" + _PUBLISH

_PLACE_ONCE = _TAKE + "if taken then return {-1} end\n" + _KEEP + PLACE

_TAKE_ONCE = _TAKE + "return taken and 0 or 1\n"

# KEYS: an allowance. ARGV: the interval of a token, and how far ahead of that pace one may be (both ms). The key holds the time at which
# the allowance is full again (ms), and expires then. Returns 0, or the milliseconds until there is a token.
_SPEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local full, ahead = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[2])
-- Allow for the rounding of the text.
if full - now > ahead + 0.001 then return math.max(1, math.ceil(full - now - ahead)) end
full = math.max(full, now) + ARGV[1]
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.max(1, math.ceil(full - now)))
return 0
"""

# KEYS: the debts of an account, by the time at which each is paid (ms). ARGV: the debt in seconds, as JSON; letters that make it unique;
# its lifetime (ms); how many are kept. An entry is the time at which it was added, the letters and the JSON.
_OWE = (
    NOW
    + """
redis.call('ZADD', KEYS[1], now + ARGV[3], string.format('%013.0f', now) .. ARGV[2] .. ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[4] - 1)
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 0
"""
)

# KEYS: the debts. Takes the largest one and returns its age (ms) and its JSON; empty if there is none.
_REDEEM = (
    NOW
    + """
local largest = redis.call('ZPOPMAX', KEYS[1])
if not largest[1] or tonumber(largest[2]) <= now then return {} end
return {math.max(0, now - string.sub(largest[1], 1, 13)), string.sub(largest[1], 26)}
"""
)

# KEYS: an owner's keys. ARGV: a key.
_IS_TAKEN = (
    NOW
    + """
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
return (ends and tonumber(ends) > now) and 1 or 0
"""
)

# KEYS: state, list, meta, mark. ARGV: 1 letters for a new epoch, 2 size, 3 ttl, 4 lifetime of the meta, 5 epoch or '', 6 offset, 7 and 8 the
# bytes and the number of frames that fit into a reply, 9 how many frames to replay if the epoch is '' or frames were missed, 10 the offset
# up to which frames are left out that a replay does not show, 11 the floor that the caller knows (frames of keys may be older).
# Returns epoch, top, whether nothing is missing, the frames, the epochs before, the first frame's offset or a list of all offsets, whether
# there are more, how many frames the replay has, and the floor.
_SINCE = (
    _OPEN
    + """
local list, known, offset, replay, hidden = KEYS[2], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[9]), tonumber(ARGV[10])
local epoch, top, before, marks = open(list, KEYS[3], KEYS[4], ARGV[1], ARGV[4])
if known == '' and replay == 0 or known == epoch and offset == top then return {epoch, top, 1, {}, before, 0, 0, 0, 0} end
"""
    + _READ
    + """
left = tonumber(ARGV[7])
local floor = floor_of(list, tonumber(ARGV[2]), tonumber(ARGV[3]), top, marks)
local given, count = known ~= '' and last_of(known, epoch, top, before), 0
local is_served = given and offset <= given and (offset >= floor or tonumber(ARGV[11]) >= floor)
if not is_served then
  if replay == 0 then return {epoch, top, 0, {}, before, 0, 0, 0, 0} end
  hidden = top
  if marks then
    count, offset = keyed().latest(list, replay)
  else
    count = math.min(replay, top - floor)
    offset = top - count
  end
end
local frames, at, has_more = after(list, floor, top, offset, marks, tonumber(ARGV[8]), hidden)
return {epoch, top, (is_served or known == '') and 1 or 0, frames, before, at, has_more, count, floor}
"""
)

# KEYS and ARGV 1 to 7 as above; then the limit. Returns the same up to whether there are more, which is about earlier frames.
_BEFORE = (
    _OPEN
    + _READ
    + """
local list, limit = KEYS[2], tonumber(ARGV[8])
local epoch, top, before, marks = open(list, KEYS[3], KEYS[4], ARGV[1], ARGV[4])
if ARGV[5] ~= '' and not last_of(ARGV[5], epoch, top, before) then return {epoch, top, 0, {}, before, 0, 0} end
left = tonumber(ARGV[7])
local stop = ARGV[5] == '' and top + 1 or tonumber(ARGV[6])
local floor = floor_of(list, tonumber(ARGV[2]), tonumber(ARGV[3]), top, marks)
local last, found, at, has_more = math.min(top, stop - 1), nil, nil, nil
if marks then
  found, at, has_more = keyed().collect(list, stop, -1, limit, 0)
  has_more = has_more and 1 or 0
else
  found, has_more = walk(list, last - floor - 1, -1, limit)
end
local frames, offsets = {}, {}
for i = #found, 1, -1 do
  frames[#frames + 1] = found[i]
  if at then offsets[#offsets + 1] = at[i] end
end
return {epoch, top, 1, frames, before, at and offsets or last - #found + 1, has_more}
"""
)

# KEYS: state, then list, meta and mark of each topic. ARGV: for each topic `t` (only the top) or `f` (fill), epoch, offset; then the bytes
# and the number of frames that fit into the reply. An empty epoch in a fill means that there was no history before, so all of it was
# missed. Creates nothing; the epoch of a missing history is ''. Returns for each topic what `since` does, up to whether there are more.
_FILL = (
    _FIND
    + _READ
    + """
local out, most = {}, tonumber(ARGV[#ARGV])
left = tonumber(ARGV[#ARGV - 1])
for i = 1, (#KEYS - 1) / 3 do
  local list, epoch, top, before, _, marks = KEYS[3 * i - 1], find(KEYS[3 * i], KEYS[3 * i + 1])
  local known, offset = ARGV[3 * i - 1], tonumber(ARGV[3 * i])
  if ARGV[3 * i - 2] == 't' or not epoch then
    out[i] = {epoch or '', top or 0, (epoch or known == '') and 1 or 0, {}, before or '', 0, 0}
  else
    local given, floor = known == '' and top or last_of(known, epoch, top, before), floor_of(list, math.huge, math.huge, top, marks)
    if not given or offset > given or offset < floor then
      out[i] = {epoch, top, 0, {}, before, 0, 0}
    else
      local frames, at, has_more = after(list, floor, top, offset, marks, most, 0)
      out[i] = {epoch, top, 1, frames, before, at, has_more}
    end
  end
end
return out
"""
)

# The calls of a join in one. KEYS: those of `since`, base, and those of `redeem` if needed. ARGV: those of `since`, then those of `enter`.
# Returns the result of each.
_JOIN = (
    "local function since(KEYS, ARGV)\n"
    + _SINCE
    + "end\nlocal function enter(KEYS, ARGV)\n"
    + PRESENCE["enter"]
    + "end\nlocal function redeem(KEYS)\n"
    + _REDEEM
    + """
end
local out = {since(KEYS, ARGV), enter({KEYS[5], KEYS[1]}, {unpack(ARGV, 12)})}
if KEYS[6] then out[3] = redeem({KEYS[6]}) end
return out
"""
)

SCRIPTS = {
    # KEYS: the marks of channels whose frames are no longer kept.
    "end_histories": "return redis.call('DEL', unpack(KEYS))\n",
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
    "clear": _FIND + MIXED + CLEAR,
    "since": _SINCE,
    "before": _BEFORE,
    "fill": _FILL,
    "join": _JOIN,
    **PRESENCE,
}

VERSION: Final = (
    f"{__version__}+{hashlib.sha256(''.join(SCRIPTS.values()).encode()).hexdigest()[:8]}"
)
"""What all nodes of a prefix must have in common: the release, and its scripts."""
