"""The newest frame of each key inside Redis, as fragments of Lua: a history that is *mixed*, and a publication with its place.

A history is mixed from its first publication with a `Placing` on. Then frames in a row say their offset themselves: in the
list `h` each is its stamp, offset, `r` or `h` (hidden from a replay), payload. Beside it are `h:k` (key to stamp, digest of the owner,
payload), `h:y` (keys by offset) and `h:w` (digest of the owner and key, in order). The meta has `f` (the floor: the last
offset of what is gone for its age or the size), `r` and `k` (the latest offset in the row, and of a key; when either has
expired as a whole, nobody has seen it go). What was replaced or cleared is gone, and does not raise the floor.
"""

__all__ = ["DROP", "MIXED", "PLACE", "TAKE_ALONG"]

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

# What somebody takes along who has left: nobody misses it, and an emptied set of keys must not look like an expired one.
TAKE_ALONG = """
local function take_along(list, meta, user)
  local owner = redis.sha1hex(user)
  local found = redis.call('ZRANGEBYLEX', list .. ':w', '[' .. owner, '(' .. owner .. '\\255')
  for _, member in ipairs(found) do drop(list, string.sub(member, 41)) end
  if #found > 0 and redis.call('EXISTS', list .. ':y') == 0 then redis.call('HSET', meta, 'k', 0) end
end
"""

# `lapse` raises the floor over what has expired as a whole, which has to be seen before another frame comes.
# `settle` drops what is over the size or too old, and returns the floor. `collect` returns frames between two offsets as
# the list of a plain history has them, the offset of each, and whether there are more than the limit.
MIXED = """
local function forget_all(list)
  redis.call('DEL', list, list .. ':k', list .. ':y', list .. ':w')
end

local function record(offset, is_shown)
  return string.format('%016.0f', offset) .. (is_shown and 'r' or 'h')
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
    floor, row = math.max(floor, tonumber(string.sub(kept, 14, 29))), row - 1
  end
  while keys > 0 do
    local oldest = redis.call('ZRANGE', list .. ':y', 0, 0, 'WITHSCORES')
    if stays(redis.call('HGET', list .. ':k', oldest[1]), keys) then break end
    drop(list, oldest[1])
    floor, keys = math.max(floor, tonumber(oldest[2])), keys - 1
  end
  return floor
end

local function mark(list, meta, size, ttl, marks)
  redis.call('HSET', meta, 'f', settle(list, size, ttl, marks), 'r', marks.row, 'k', marks.key)
end

local function collect(list, from, stop, limit, is_replay)
  local found = {}
  for _, kept in ipairs(redis.call('LRANGE', list, 0, -1)) do
    local offset = tonumber(string.sub(kept, 14, 29))
    if offset > from and offset < stop and not (is_replay and string.sub(kept, 30, 30) == 'h') then
      found[#found + 1] = {offset, string.sub(kept, 1, 13) .. string.sub(kept, 31)}
    end
  end
  local keys = redis.call('ZRANGEBYSCORE', list .. ':y', '(' .. from, '(' .. stop, 'WITHSCORES')
  for i = 1, #keys, 2 do
    local kept = redis.call('HGET', list .. ':k', keys[i])
    if kept then
      found[#found + 1] = {tonumber(keys[i + 1]), string.sub(kept, 1, 13) .. string.sub(kept, 54)}
    end
  end
  table.sort(found, function(one, other) return one[1] < other[1] end)
  local frames, offsets = {}, {}
  local first = limit and math.max(0, #found - limit) or 0
  for i = first + 1, #found do
    offsets[i - first], frames[i - first] = found[i][1], found[i][2]
  end
  return frames, offsets, first > 0
end
"""

# KEYS: state, list, meta. ARGV after the first two: channel, size, ttl (ms), skip, payload, the frame's key or '', its owner
# or '', 1 if a replay shows it, how many keys it clears, and these.
PLACE = """
local function mix(list, top)
  local kept, left = redis.call('LRANGE', list, 0, -1), redis.call('PTTL', list)
  redis.call('DEL', list)
  for i, frame in ipairs(kept) do
    local placed = string.sub(frame, 1, 13) .. record(top - #kept + i, true) .. string.sub(frame, 14)
    redis.call('RPUSH', list, placed)
  end
  if left > 0 then redis.call('PEXPIRE', list, left) end
  return {floor = top - #kept, row = top, key = 0}
end

local function place(list, meta, size, ttl, payload, key, owner)
  local epoch, top, marks = number(list, meta, 1)
  if not epoch then return nil, top end
  marks = marks or mix(list, top)
  local offset, stamp = top + 1, string.format('%013.0f', now)
  for i = 12, 11 + ARGV[11] do drop(list, ARGV[i]) end
  if redis.call('EXISTS', list .. ':y') == 0 then marks.key = 0 end
  if key == '' then
    redis.call('RPUSH', list, stamp .. record(offset, ARGV[10] == '1') .. payload)
    redis.call('PEXPIRE', list, ttl)
    marks.row = offset
  else
    drop(list, key)
    local digest = owner == '' and NOBODY or redis.sha1hex(owner)
    redis.call('HSET', list .. ':k', key, stamp .. digest .. payload)
    redis.call('ZADD', list .. ':y', offset, key)
    if owner ~= '' then redis.call('ZADD', list .. ':w', 0, digest .. key) end
    for _, name in ipairs({':k', ':y', ':w'}) do redis.call('PEXPIRE', list .. name, ttl) end
    marks.key = offset
  end
  mark(list, meta, size, ttl, marks)
  redis.call('PEXPIRE', meta, ttl + ARGV[2])
  return epoch, offset
end

local epoch, offset = place(KEYS[2], KEYS[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[7], ARGV[8], ARGV[9])
if not epoch then return {0, '!' .. offset, 0} end
redis.call('PUBLISH', ARGV[3], head('C1', epoch, offset, 1) .. part(ARGV[6], ARGV[7]))
return {0, epoch, offset}
"""
