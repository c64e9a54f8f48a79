"""Lua scripts for atomic steps inside Redis: keep and publish, read a history, keys, allowances; and their table.

`state` is a hash: `run` (the server's run id), `gen` (changes with every run), `arrivals`. A topic's history is a list `h` of
stamped frames and a hash `m` of `e` (epoch), `g` (the `gen` it was opened under), `o` (top offset), `b` (the epochs before,
newest first, each with its last offset) and `k`: letters that stand in its channel's mark `k` as well. The mark goes when
frames of the channel go out without being kept, and the next one has other letters: a history without its mark has missed frames, and
is not found again. Frames expire by the stamp and by the list's own expiry; `m` outlives them, so a client at the top recovers; when
`m` is gone too the next epoch is another. Frames that stand to others are in `newest.py`, presence and leases in `presence.py`.

A restart or a failover may have lost the latest frames, and nobody may be left who saw them. So the first frame that is
kept under a new run opens an epoch (as Kafka's leader epochs do, KIP-101). Offsets go on, and what was not lost is still
found under its earlier epoch; an offset beyond its end names a lost frame, not the one that has the number now.

Times are the server's. The scripts name keys that they derive, so all keys of a prefix have one home (in a cluster: one slot, see `dialect.py`).
"""

import hashlib
from typing import Final

from channeld import __version__
from channeld.broker.redis.newest import CLEAR, CONFLATE, MIXED, PLACE
from channeld.broker.redis.presence import NOW, PRESENCE

# What a script does not need it does not make: a function costs Redis as much as a command does. `_FIND` is for all that look at a history's
# meta, `_OPEN` makes one, `_TRIM` is for those that keep or read frames, and `_READ` for those that read them.
_FIND = (
    NOW
    + """
local gen = redis.call('HGET', KEYS[1], 'gen') or ''
local cut = string.sub(gen, 1, -13)

local function forget_all(list)
  redis.call('DEL', list, list .. ':k', list .. ':y', list .. ':w')
end

-- Epoch, top, the epochs before, whether this run opened the epoch, and the marks of a mixed history; of one that is lost its epoch, sixth.
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
-- The letters of a channel's mark, which is made where there is none; nothing where there is no memory for one.
local function marked(mark, letters)
  local known = redis.call('GET', mark)
  return known or (redis.pcall('SET', mark, letters).ok and letters or '')
end

-- An epoch's name begins with its time, and never before that of the one before it: positions grow as text.
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
-- The last offset that an epoch gave, or nothing for an epoch that is not known.
local function last_of(known, epoch, top, before)
  if known == epoch then return top end
  local _, at = string.find(';' .. before, ';' .. known .. '=', 1, true)
  return at and tonumber(string.match(before, '^%d+', at))
end

-- The last offset of what is gone for its age or the size: who knows less has missed something.
local function floor_of(list, size, ttl, top, marks)
  if marks then return keyed().settle(list, size, ttl, marks) end
  return top - trim(list, size, ttl)
end

-- Frames of a plain history from a place in its list on, up or down; whether there are more than go into the reply.
local function walk(list, at, step, most)
  local frames, kept = {}, at >= 0 and redis.call('LINDEX', list, at)
  while kept and #frames < most and left > 0 do
    frames[#frames + 1], left = kept, left - #kept
    at = at + step
    kept = at >= 0 and redis.call('LINDEX', list, at)
  end
  return frames, kept and 1 or 0
end

-- The frames after an offset, the first one's offset, or each one's, and whether there are more.
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

# ARGV begins with letters for a fresh epoch, and how long a top outlives its frames (ms).
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

# KEYS: state, then list, meta and mark of each run. ARGV after the first two, for each run: its channel, size (0: not kept), ttl
# (ms), count, and skip and payload of each publication.
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

# The last key is a sorted set of an owner's keys by when their time is over; the last arguments are a key, its time (ms)
# and how many keys an owner may have. `taken` says whether somebody has it; else it is had from now on.
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
    NOW
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

# KEYS: state, list, meta, mark. ARGV: letters for a fresh epoch, size, ttl, lifetime of the meta, epoch or '', offset, bytes and number
# of frames that a reply has room for, how many frames to replay where nothing is known or something was missed, up to which offset
# frames are left out that a replay does not show, and which floor is known: keys may be older than it. Returns epoch, top, whether nothing is missing, the frames, the epochs before, the
# first frame's offset or a list of all, whether there are more, how many frames the replay has, and the floor.
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

# KEYS and ARGV as above, up to the room in a reply; then the limit. Returns the same but for the last, and `more` is of earlier frames.
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

# KEYS: state, then list, meta and mark of each topic. ARGV: for each `t` (the top only) or `f` (fill), epoch, offset; then bytes and
# number of frames that the reply has room for. An empty epoch in a fill: there was no history then, so all there is was missed. Makes
# nothing; a missing history is ''. Returns of each what `since` does, but for the last.
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

# All that a join asks at once. KEYS: those of `since`, base, and those of `redeem` if that is asked as well. ARGV: those of `since`, then
# those of `enter`. Returns what each of them does.
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
    # KEYS: the marks of channels whose frames are not kept any more.
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
"""What nodes of one prefix have to have in common: the release, and what it does inside Redis."""
