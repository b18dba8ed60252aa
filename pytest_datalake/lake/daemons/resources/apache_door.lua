-- Authorisation of one WebDAV door, and its digests (RFC 3230).
local paths = require "apache_paths"
local site = require "apache_site"
local token = require "apache_token"

local fixed = { OPTIONS = "stat", HEAD = "stat", GET = "read", MKCOL = "mkdir" }

local function writing(r, path)
  return paths.exists(r, path) and "modify" or "create"
end

-- What a request wants: a list of {verb, path}; nil where a path is not of this door.
local function wishes(r)
  local path = paths.in_lake(r.uri)
  if not path then return nil end
  if fixed[r.method] then return { { fixed[r.method], path } } end
  if r.method == "PROPFIND" then return { { r.headers_in["Depth"] == "0" and "stat" or "list", path } } end
  if r.method == "PUT" then return { { writing(r, path), path } } end
  if r.method == "MOVE" or r.method == "COPY" then
    local target = paths.destination(r)
    local list = { { r.method == "COPY" and "read" or "create", path } }
    -- a copy to another server is refused later, with a better answer
    if target then list[2] = { writing(r, target), target } end
    return list
  end
  return { { "modify", path } }
end

local function is_the_sites_own(path)
  if path == "/" then return true end
  for _, area in pairs(site.areas) do
    if path == area then return true end
  end
  return false
end

-- mod_dav asks whether it may GET whatever it lists; a directory has no content to be read
local harmless = { stat = true, list = true, read = true, mkdir = true }

local function allowed(rights, list)
  for _, wish in ipairs(list) do
    local verb, path = wish[1], wish[2]
    if not rights(verb, path) then return false, verb .. " " .. path end
    if not harmless[verb] and is_the_sites_own(path) then return false, verb .. " " .. path end
  end
  return true
end

-- LuaAuthzProvider: a token decides where there is one, the certificate otherwise.
function authorize(r)
  local rights, who, why
  if r.headers_in["Authorization"] then
    if not r.user then return apache2.AUTHZ_DENIED_NO_USER end
    who = "bearer " .. r.user
    rights, why = token.rights(r)
  elseif r:ssl_var_lookup("SSL_CLIENT_VERIFY") == "SUCCESS" then
    who = r:ssl_var_lookup("SSL_CLIENT_S_DN")
    rights = token.owner_of(site.subjects[who] or {})
  else
    return apache2.AUTHZ_DENIED_NO_USER
  end
  local list = wishes(r)
  if not list then
    why = "no path of this door"
  elseif rights then
    local good, lacking = allowed(rights, list)
    if good then return apache2.AUTHZ_GRANTED end
    why = "may not " .. lacking
  end
  r:notice("denied " .. r.method .. " " .. r.uri .. " to " .. who .. ": " .. why)
  return apache2.AUTHZ_DENIED
end

-- Adler-32 (RFC 1950) of an open file, eight digits. Sums fit 64 bits for a whole block, so one division each is enough.
local function adler32(file)
  local a, b, modulus, byte = 1, 0, 65521, string.byte
  for block in function() return file:read(65536) end do
    local size = #block
    local whole = size - size % 8
    for i = 1, whole, 8 do
      local c, d, e, f, g, h, k, l = byte(block, i, i + 7)
      b = b + 8 * (a + c) + 7 * d + 6 * e + 5 * f + 4 * g + 3 * h + 2 * k + l
      a = a + c + d + e + f + g + h + k + l
    end
    for i = whole + 1, size do
      a = a + byte(block, i)
      b = b + a
    end
    a, b = a % modulus, b % modulus
  end
  return string.format("%08x", b * 65536 + a)
end

-- LuaHookFixups: answers Want-Digest, and refuses what this server cannot do.
function fixups(r)
  -- httpd would answer POST with the file, and clients that ask for a macaroon this way would take it for one
  if r.method == "POST" then return 405 end
  if r.method == "COPY" or r.method == "MOVE" then
    if r.headers_in["Source"] or not paths.destination(r) then return 502 end
  elseif r.method == "HEAD" or r.method == "GET" then
    if (r.headers_in["Want-Digest"] or ""):lower():find("adler32", 1, true) then
      local status = r:stat(r.filename)
      local file = status and status.filetype == 1 and io.open(r.filename, "rb")
      if file then
        r.headers_out["Digest"] = "adler32=" .. adler32(file)
        file:close()
      end
    end
  end
  return apache2.DECLINED
end
