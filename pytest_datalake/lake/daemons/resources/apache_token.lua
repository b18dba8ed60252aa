-- What a WLCG token allows (WLCG Common JWT Profiles 1.x). mod_auth_openidc has verified its signature before.
local json = require "json"
local paths = require "apache_paths"
local site = require "apache_site"
local token = {}

local skew = 60 -- seconds that the issuer's clock may be ahead in "iat"

local grants = {
  ["storage.read"] = { stat = true, list = true, read = true },
  ["storage.create"] = { stat = true, create = true, mkdir = true },
  ["storage.modify"] = { stat = true, create = true, mkdir = true, modify = true },
  ["storage.stage"] = { stat = true },
  ["storage.poll"] = {},
}

local function part(r, text)
  text = text:gsub("-", "+"):gsub("_", "/")
  return json.decode(r:base64_decode(text .. ("="):rep(-#text % 4)) or "")
end

-- Claims of the bearer token of a request, or nil and the reason.
local function claims(r)
  local header, payload = (r.headers_in["Authorization"] or ""):match(
    "^[Bb][Ee][Aa][Rr][Ee][Rr] +([%w_-]+)%.([%w_-]+)%.[%w_-]+$")
  if not header then return nil, "no signed token" end
  header, payload = part(r, header), part(r, payload)
  if type(header) ~= "table" or type(payload) ~= "table" then return nil, "not a token" end
  if header.crit ~= nil then return nil, "critical header parameters are not understood" end
  if type(header.kid) ~= "string" then return nil, "no key is named" end
  return payload
end

local function names_us(audience)
  for _, one in ipairs(json.is_array(audience) and audience or { audience }) do
    for _, ours in ipairs(site.audiences) do
      if one == ours then return true end
    end
  end
  return false
end

-- The reason why the claims are of no use here and now, or nil.
local function flaw(claim, now)
  if claim.iss ~= site.issuer then return "unknown issuer" end
  if not names_us(claim.aud) then return "meant for another audience" end
  for _, name in ipairs { "sub", "jti", "wlcg.ver" } do
    if type(claim[name]) ~= "string" or claim[name] == "" then return name .. " is missing" end
  end
  if not claim["wlcg.ver"]:match("^1%.%d+$") then return "unknown major version of the profile" end
  if type(claim.exp) ~= "number" or now >= claim.exp then return "expired" end
  if type(claim.iat) ~= "number" or claim.iat > now + skew then return "issued in the future" end
  if claim.nbf ~= nil and (type(claim.nbf) ~= "number" or claim.nbf > now) then return "not valid yet" end
  if claim.scope ~= nil and type(claim.scope) ~= "string" then return "scope is not a string" end
end

-- The path of a scope, absolute and exact, and whether it names a directory; nil where the profile forbids it.
local function scope_path(text)
  local path = text:sub(1, 1) == "/" and paths.decoded(text)
  if not path or path:find("//", 1, true) or not paths.normal(path) then return nil end
  return paths.normal(path), path:sub(-1) == "/" and path ~= "/"
end

-- The capabilities in a scope claim: a list, whether there were any at all; nil where one is malformed.
local function capabilities(scope)
  local list, any = {}, false
  for word in scope:gmatch("[^ ]+") do
    local name, path = word:match("^([^:]+):?(.*)$")
    if name and (name:match("^storage%.") or name:match("^compute%.")) then any = true end
    if grants[name] then
      local top, directory = scope_path(path)
      if not top then return nil end
      list[#list + 1] = { verbs = grants[name], top = top, directory = directory }
    end
  end
  return list, any
end

local function covers(capability, verb, path)
  if not capability.verbs[verb] then return false end
  if capability.directory and path == capability.top then return verb ~= "create" and verb ~= "read" end
  if paths.holds(capability.top, path) then return true end
  -- the directories that lead to the path may be looked at, and made where they are missing
  return (verb == "stat" or verb == "mkdir") and paths.holds(path, capability.top)
end

-- A function (verb, path) that says whether the token of the request allows it, or nil and the reason.
function token.rights(r)
  local claim, why = claims(r)
  if not claim then return nil, why end
  why = flaw(claim, os.time())
  if why then return nil, why end
  local list, any = capabilities(claim.scope or "")
  if not list then return nil, "a scope has no proper path" end
  if any then
    return function(verb, path)
      for _, capability in ipairs(list) do
        if covers(capability, verb, path) then return true end
      end
      return false
    end
  end
  local areas = {}
  local groups = claim["wlcg.groups"]
  for _, group in ipairs(json.is_array(groups) and groups or {}) do
    if type(group) == "string" then areas[#areas + 1] = site.areas[group] end
  end
  return token.owner_of(areas)
end

-- The rights of a member: everything in the areas of the groups, and a look at what leads there.
function token.owner_of(areas)
  return function(verb, path)
    for _, area in ipairs(areas) do
      if paths.holds(area, path) or (verb == "stat" and paths.holds(path, area)) then return true end
    end
    return false
  end
end

return token
