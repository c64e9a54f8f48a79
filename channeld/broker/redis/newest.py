"""The newest frame of each key inside Redis, as fragments of Lua: histories that are *mixed*, and publications with a `Placing`.

A history becomes mixed with its first publication that has a `Placing`. From then on:

- The list `h` (the *row*) holds for each frame its stamp, its offset, `r` (shown in a replay) or `h` (hidden from it), the number of `r`
  up to it, and the payload.
- `h:k` maps a key to the stamp, the digest of the owner and the payload; `h:y` has the keys by offset; `h:w` has owner digest plus key,
  in order; `h:c:…` is a slot in which frames wait.
- The meta has `x`, the *marks*: the floor (the last offset that was dropped because of age or size), the latest offset in the row, the
  number of `r`, and the latest offset of a key. The latest offsets tell what was dropped if the row or the keys expire as a whole.

Frames that were replaced or cleared do not raise the floor. All functions for mixed histories are made in `keyed()`, so that a plain
history does not pay for them.
"""

DROP = """
local NOBODY = string.rep('-', 40)

local function drop(list, key)
  local kept = redis.call('HGET', list .. ':k', key)
  redis.call('ZREM', list .. ':y', key)
  if not kept then return end
  redis.call('HDEL', list .. ':k', key)
  local owner = string.sub(kept, 14, 53)
  if owner ~= NOBODY then redis.call('ZREM', list .. ':w', owner .. key) end
end
"""

# A slot over all nodes, as a hash: `due` is the end of its interval; `last` and `by` are the time and node at which the frame arrived that
# was published last; `came` and `of` are those of the waiting frame, next to its `skip`, `owner` and `payload`.
GATE = """
local function gate_of(list, slot)
  return list .. ':c:' .. redis.sha1hex(slot)
end

local function empty(gate)
  redis.call('HDEL', gate, 'came', 'of', 'skip', 'owner', 'payload')
end
"""

# Removes what belongs to a user who has left. It does not count as missed, so an emptied set of keys must not look like an expired one.
TAKE_ALONG = (
    DROP
    + GATE
    + """
  local owner = redis.sha1hex(user)
  local found = redis.call('ZRANGEBYLEX', list .. ':w', '[' .. owner, '(' .. owner .. '\\255')
  for _, member in ipairs(found) do
    local slot = string.sub(member, 41)
    local kept, gate = redis.call('HGET', list .. ':k', slot), gate_of(list, slot)
    if kept and string.sub(kept, 14, 53) == owner then drop(list, slot) end
    if redis.call('HGET', gate, 'owner') == user then empty(gate) end
    redis.call('ZREM', list .. ':w', member)
  end
  local marks = #found > 0 and redis.call('EXISTS', list .. ':y') == 0 and redis.call('HGET', meta, 'x')
  if marks then redis.call('HSET', meta, 'x', (string.gsub(marks, '%d+$', '0'))) end
"""
)

# `lapse` raises the floor over a row or keys that expired as a whole; call it before adding a frame. `settle` drops what exceeds the size
# or is too old, and returns the floor. `collect` returns frames from an offset, upwards or downwards, in the format of a plain history's
# list, their offsets, and whether there are more than fit into a reply. `latest` returns how many of the latest frames that a replay
# shows there are, at most a given number, and the offset before them.
MIXED = (
    """
local left = math.huge  -- bytes of frames that still fit into the reply

local function keyed()
"""
    + DROP
    + GATE
    + """
local function offset_of(kept)
  return tonumber(string.sub(kept, 14, 29))
end

local function is_shown(kept)
  return string.sub(kept, 30, 30) == 'r'
end

local function count_of(kept)
  return tonumber(string.sub(kept, 31, 46))
end

local function record(offset, is_shown, marks)
  if is_shown then marks.shown = marks.shown + 1 end
  return string.format('%016.0f%s%016.0f', offset, is_shown and 'r' or 'h', marks.shown)
end

local function lapse(list, marks)
  local row, keys = redis.call('LLEN', list), redis.call('ZCARD', list .. ':y')
  if row == 0 then marks.floor, marks.row = math.max(marks.floor, marks.row), 0 end
  if keys == 0 then marks.floor, marks.key = math.max(marks.floor, marks.key), 0 end
  return row, keys
end

local function settle(list, size, ttl, marks)
  local row, keys = lapse(list, marks)
  local floor = marks.floor
  local function stays(kept, count)
    return count <= size and kept and tonumber(string.sub(kept, 1, 13)) + ttl > now
  end
  while row > 0 do
    local kept = redis.call('LINDEX', list, 0)
    if stays(kept, row) then break end
    redis.call('LPOP', list)
    floor, row = math.max(floor, offset_of(kept)), row - 1
  end
  while keys > 0 do
    local oldest = redis.call('ZRANGE', list .. ':y', 0, 0, 'WITHSCORES')
    if stays(redis.call('HGET', list .. ':k', oldest[1]), keys) then break end
    drop(list, oldest[1])
    floor, keys = math.max(floor, tonumber(oldest[2])), keys - 1
  end
  return floor
end

local function note(meta, marks)
  redis.call('HSET', meta, 'x', string.format('%.0f %.0f %.0f %.0f', marks.floor, marks.row, marks.shown, marks.key))
end

local function mark(list, meta, size, ttl, marks)
  marks.floor = settle(list, size, ttl, marks)
  note(meta, marks)
end

-- The first index from `low` to `high` - 1 whose frame satisfies `holds`, as all later ones do; `high` if there is none.
local function search(list, low, high, holds)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if holds(redis.call('LINDEX', list, middle)) then high = middle else low = middle + 1 end
  end
  return low
end

-- The same after `low`, in doubling steps: the index is near, or many frames are skipped.
local function skip(list, low, high, holds)
  local far = 1
  while low + far < high and not holds(redis.call('LINDEX', list, low + far)) do low, far = low + far, 2 * far end
  return search(list, low + 1, math.min(low + far, high), holds)
end

local function latest(list, most)
  local length, keys, total, rows = redis.call('LLEN', list), redis.call('ZCARD', list .. ':y'), 0, 0
  if length > 0 then
    local first = redis.call('LINDEX', list, 0)
    total = count_of(redis.call('LINDEX', list, -1))
    rows = total - count_of(first) + (is_shown(first) and 1 or 0)
  end
  if rows + keys <= most then return rows + keys, 0 end
  local function row(number)
    local at = search(list, 0, length, function(kept) return count_of(kept) > total - number end)
    return offset_of(redis.call('LINDEX', list, at))
  end
  local function key(number)
    return tonumber(redis.call('ZREVRANGE', list .. ':y', number - 1, number - 1, 'WITHSCORES')[2] or 0)
  end
  -- Find how many of the latest frames are in the row: one more of the row would be older than a key's frame that is left out.
  local low, high = math.max(0, most - keys), math.min(most, rows)
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if row(middle) > key(most - middle + 1) then low = middle else high = middle - 1 end
  end
  return most, math.min(low > 0 and row(low) or math.huge, low < most and key(most - low) or math.huge) - 1
end

-- Frames up to the offset `hidden` are included only if a replay shows them.
local function collect(list, from, step, most, hidden)
  local length, bound = redis.call('LLEN', list), step > 0 and from or from - 1
  local low = search(list, 0, length, function(kept) return offset_of(kept) > bound end)
  local verb, last = 'ZRANGEBYSCORE', '+inf'
  if step < 0 then low, verb, last = low - 1, 'ZREVRANGEBYSCORE', '-inf' end
  local keys = redis.call(verb, list .. ':y', '(' .. from, last, 'WITHSCORES', 'LIMIT', 0, most + 1)
  local frames, offsets, at, far = {}, {}, 1, step * math.huge
  local row = low >= 0 and redis.call('LINDEX', list, low)
  while (row or keys[at]) and #frames < most and left > 0 do
    local offset, key, frame = row and offset_of(row) or far, tonumber(keys[at + 1] or far), nil
    if offset * step < key * step then
      if offset > hidden or is_shown(row) then
        frame, low = string.sub(row, 1, 13) .. string.sub(row, 47), low + step
      else
        local count = count_of(row)
        low = skip(list, low, length, function(kept) return count_of(kept) > count or offset_of(kept) > hidden end)
      end
      row = low >= 0 and redis.call('LINDEX', list, low)
    else
      local kept = redis.call('HGET', list .. ':k', keys[at])
      offset, frame = key, kept and string.sub(kept, 1, 13) .. string.sub(kept, 54)
      at = at + 2
    end
    if frame then
      frames[#frames + 1], offsets[#offsets + 1], left = frame, offset, left - #frame
    end
  end
  return frames, offsets, (row or keys[at]) and true or false
end

return {
  NOBODY = NOBODY, drop = drop, gate_of = gate_of, empty = empty, record = record, lapse = lapse,
  settle = settle, note = note, mark = mark, collect = collect, latest = latest
}
end
"""
)

# KEYS: state, list, meta, mark. ARGV after the first two: 3 channel, 4 size (0: not kept), 5 ttl (ms), 6 skip, 7 payload, 8 the frame's key
# or '', 9 its owner or '', 10 whether a replay shows it (1), 11 the node of its sender, 12 how long frames that it clears may wait (ms),
# 13 how many keys it clears, then those keys.
_PLACED = """
local of_keys = keyed()
local NOBODY, drop, gate_of, empty = of_keys.NOBODY, of_keys.drop, of_keys.gate_of, of_keys.empty
local record, mark = of_keys.record, of_keys.mark
local list, meta, size, ttl = KEYS[2], KEYS[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local key, node, cleared = ARGV[8], ARGV[11], {}
for i = 14, 13 + ARGV[13] do cleared[#cleared + 1] = ARGV[i] end

local function mix(top)
  local kept, left = redis.call('LRANGE', list, 0, -1), redis.call('PTTL', list)
  local marks = {floor = top - #kept, row = top, shown = 0, key = 0}
  redis.call('DEL', list)
  for i, frame in ipairs(kept) do
    local placed = string.sub(frame, 1, 13) .. record(top - #kept + i, true, marks) .. string.sub(frame, 14)
    redis.call('RPUSH', list, placed)
  end
  if left > 0 then redis.call('PEXPIRE', list, left) end
  return marks
end

local function outlive(name, life)
  if redis.call('PTTL', name) < life then redis.call('PEXPIRE', name, life) end
end

-- From now on, discard frames of the slot that arrived at another node before this moment.
local function shut(slot)
  local gate = gate_of(list, slot)
  empty(gate)
  redis.call('HSET', gate, 'last', now, 'by', node)
  outlive(gate, ARGV[12] + 10000)
end

local function keep(payload, owner)
  local epoch, top, marks = number(list, meta, KEYS[4], 1)
  if not epoch then return nil, top end
  marks = marks or mix(top)
  local offset, stamp = top + 1, string.format('%013.0f', now)
  for _, slot in ipairs(cleared) do
    drop(list, slot)
    if tonumber(ARGV[12]) > 0 then shut(slot) end
  end
  if #cleared > 0 and redis.call('EXISTS', list .. ':y') == 0 then marks.key = 0 end
  if key == '' then
    redis.call('RPUSH', list, stamp .. record(offset, ARGV[10] == '1', marks) .. payload)
    redis.call('PEXPIRE', list, ttl)
    marks.row = offset
  else
    local digest, before = owner == '' and NOBODY or redis.sha1hex(owner), redis.call('HGET', list .. ':k', key)
    local had = before and string.sub(before, 14, 53)
    if had and had ~= digest and had ~= NOBODY then redis.call('ZREM', list .. ':w', had .. key) end
    redis.call('HSET', list .. ':k', key, stamp .. digest .. payload)
    redis.call('ZADD', list .. ':y', offset, key)
    redis.call('PEXPIRE', list .. ':k', ttl)
    redis.call('PEXPIRE', list .. ':y', ttl)
    if owner ~= '' then
      redis.call('ZADD', list .. ':w', 0, digest .. key)
      outlive(list .. ':w', ttl)
    end
    marks.key = offset
  end
  mark(list, meta, size, ttl, marks)
  redis.call('PEXPIRE', meta, ttl + ARGV[2])
  return epoch, offset
end

local function deliver(skip, payload, owner)
  local epoch, offset = '', 0
  if size > 0 then epoch, offset = keep(payload, owner) end
  if not epoch then return {0, '!' .. offset, 0} end
  local envelope = head(#cleared > 0 and 'C2' or 'C1', epoch, offset, 1) .. part(skip, payload)
  if #cleared > 0 then
    for _, name in ipairs({node, unpack(cleared)}) do envelope = envelope .. struct.pack('>I4', #name) .. name end
  end
  redis.call('PUBLISH', ARGV[3], envelope)
  return {0, epoch, offset}
end
"""

PLACE = _PLACED + "return deliver(ARGV[6], ARGV[7], ARGV[9])\n"

# Like `PLACE`, with five more arguments after the keys: the slot, its interval and the frame's age (both ms), 1 for at once, and the frame's
# arrival by this clock (0: unknown). Without a payload, it publishes the waiting frame. Returns what `PLACE` does, the milliseconds after
# which to ask again (-1000: never), and the time (µs).
CONFLATE = (
    _PLACED
    + """
local behind = 13 + ARGV[13]
local slot, time, age, at_once = ARGV[behind + 1], tonumber(ARGV[behind + 2]), ARGV[behind + 3], ARGV[behind + 4]
local told, micros = tonumber(ARGV[behind + 5]), clock[1] * 1000000 + clock[2]
local gate = gate_of(list, slot)
local known = redis.call('HMGET', gate, 'due', 'last', 'by', 'came', 'of', 'skip', 'owner', 'payload')
local due, last, by, came = tonumber(known[1] or 0), tonumber(known[2] or 0), known[3], tonumber(known[4] or 0)
local of, skip, owner, payload = known[5], known[6], known[7], known[8]
-- More precise than `now`: two nodes' frames may be a fraction of a millisecond apart.
local mine, is_new = told > 0 and math.min(told, micros / 1000) or now - age, false

-- Frames of one node keep their order, however long they were under way.
if ARGV[7] ~= '' and (mine >= last or by == node) and (not payload or mine >= came or of == node) then
  came, of, skip, owner, payload, is_new = mine, node, ARGV[6], ARGV[9], ARGV[7], true
end
if not payload or (at_once == '1' and of ~= node) then return {0, '', 0, -1000, micros} end
if due > now and at_once ~= '1' then
  if is_new then
    local done = redis.pcall('HSET', gate, 'came', string.format('%.3f', came), 'of', of, 'skip', skip, 'owner', owner, 'payload', payload)
    if type(done) == 'table' and done.err then return {0, '!' .. done.err, 0, 0, micros} end
    if owner ~= '' then
      redis.call('ZADD', list .. ':w', 0, redis.sha1hex(owner) .. slot)
      outlive(list .. ':w', due - now + 10000)
    end
  end
  outlive(gate, due - now + time + 10000)
  return {0, '', 0, math.ceil(due - now), micros}
end
local out = deliver(skip, payload, owner)
if string.sub(out[2], 1, 1) ~= '!' then
  empty(gate)
  redis.call('HSET', gate, 'due', now + time, 'last', string.format('%.3f', came), 'by', of)
  redis.call('PEXPIRE', gate, 2 * time + 10000)
end
out[4], out[5] = 0, micros
return out
"""
)

# KEYS: state, list, meta, mark. ARGV: the keys whose frames are removed; without any, all frames. Returns how many there were.
CLEAR = """
local list, meta, count = KEYS[2], KEYS[3], 0
local epoch, top, _, _, marks = find(meta, KEYS[4])
if not epoch then return 0 end
if #ARGV == 0 then
  count = redis.call('LLEN', list) + redis.call('ZCARD', list .. ':y')
  forget_all(list)
  if marks and count > 0 then keyed().note(meta, {floor = top, row = 0, shown = marks.shown, key = 0}) end
  return count
end
if not marks then return 0 end
local of_keys = keyed()
of_keys.lapse(list, marks)
for _, key in ipairs(ARGV) do
  count = count + redis.call('HEXISTS', list .. ':k', key)
  of_keys.drop(list, key)
end
if redis.call('EXISTS', list .. ':y') == 0 then marks.key = 0 end
if count > 0 then of_keys.note(meta, marks) end
return count
"""
