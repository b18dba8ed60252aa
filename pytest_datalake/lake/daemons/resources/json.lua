-- A strict JSON reader (RFC 8259) for the payload of a token whose signature has been verified.
-- Objects become tables; arrays become tables whose metatable is `array`, so that a claim's type can be told.
local json = { array = {}, null = {} }

local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local deepest = 20
local value

local function skip(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

local function quoted(text, at)
  local parts = {}
  at = at + 1
  while true do
    local plain, next_at = text:match('^([^"\\%c]*)()', at)
    parts[#parts + 1] = plain
    local mark = text:sub(next_at, next_at)
    if mark == '"' then
      return table.concat(parts), next_at + 1
    elseif mark ~= "\\" then
      error("bad string")
    end
    local letter = text:sub(next_at + 1, next_at + 1)
    if letter == "u" then
      local code = assert(tonumber(text:match("^%x%x%x%x", next_at + 2) or "", 16), "bad escape")
      at = next_at + 6
      local low = text:match("^\\u([Dd][C-Fc-f]%x%x)", at)
      if code >= 0xD800 and code <= 0xDBFF and low then
        code = 0x10000 + (code - 0xD800) * 0x400 + (tonumber(low, 16) - 0xDC00)
        at = at + 6
      end
      parts[#parts + 1] = utf8.char(code)
    else
      parts[#parts + 1] = assert(escapes[letter], "bad escape")
      at = next_at + 2
    end
  end
end

local function array(text, at, depth)
  local items = setmetatable({}, json.array)
  at = skip(text, at + 1)
  if text:sub(at, at) == "]" then return items, at + 1 end
  while true do
    items[#items + 1], at = value(text, at, depth)
    at = skip(text, at)
    local mark = text:sub(at, at)
    if mark == "]" then return items, at + 1 end
    assert(mark == ",", "bad array")
    at = at + 1
  end
end

local function object(text, at, depth)
  local members = {}
  at = skip(text, at + 1)
  if text:sub(at, at) == "}" then return members, at + 1 end
  while true do
    local name
    at = skip(text, at)
    assert(text:sub(at, at) == '"', "bad object")
    name, at = quoted(text, at)
    assert(members[name] == nil, "a name given twice")
    at = skip(text, at)
    assert(text:sub(at, at) == ":", "bad object")
    members[name], at = value(text, at + 1, depth)
    at = skip(text, at)
    local mark = text:sub(at, at)
    if mark == "}" then return members, at + 1 end
    assert(mark == ",", "bad object")
    at = at + 1
  end
end

function value(text, at, depth)
  assert(depth < deepest, "nested too deeply")
  at = skip(text, at)
  local mark = text:sub(at, at)
  if mark == "{" then return object(text, at, depth + 1) end
  if mark == "[" then return array(text, at, depth + 1) end
  if mark == '"' then return quoted(text, at) end
  if text:sub(at, at + 3) == "true" then return true, at + 4 end
  if text:sub(at, at + 4) == "false" then return false, at + 5 end
  if text:sub(at, at + 3) == "null" then return json.null, at + 4 end
  local digits = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  return assert(tonumber(digits or ""), "bad value"), at + #digits
end

-- The value of a JSON text, or nil where it is not one.
function json.decode(text)
  local good, result, at = pcall(value, text, 1, 0)
  if good and skip(text, at) > #text then return result end
  return nil
end

function json.is_array(subject)
  return type(subject) == "table" and getmetatable(subject) == json.array
end

return json
