-- Paths of the lake's namespace: "/" is the area of the VO, "/ska/file" a file in the area of an experiment.
local site = require "apache_site"
local paths = {}

-- The path without empty components and final slash; nil where it has dot components or a NUL byte.
function paths.normal(path)
  local components = {}
  for component in path:gmatch("[^/]+") do
    if component == "." or component == ".." or component:find("\0", 1, true) then return nil end
    components[#components + 1] = component
  end
  return "/" .. table.concat(components, "/")
end

-- Whether `path` is `top` or below it, component by component: /ska does not hold /skax.
function paths.holds(top, path)
  return top == "/" or path == top or path:sub(1, #top + 1) == top .. "/"
end

-- Percent-decoded (RFC 3986, 2.1); nil where the encoding is broken or hides a slash.
function paths.decoded(path)
  if path:gsub("%%%x%x", ""):find("%%") or path:lower():find("%%2f") then return nil end
  return (path:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

-- The path in the lake's namespace of a decoded path of this server; nil outside.
function paths.in_lake(path)
  local normal = paths.normal(path)
  if not normal or not paths.holds(site.root, normal) then return nil end
  return normal == site.root and "/" or normal:sub(#site.root + 1)
end

-- The path in the lake's namespace that a Destination header (RFC 4918, 10.3) names; nil where it lies elsewhere.
function paths.destination(r)
  local header = r.headers_in["Destination"]
  if not header then return nil end
  local authority, path = header:match("^%a+://([^/]+)(/[^?#]*)$")
  if authority and authority:lower() ~= (r.headers_in["Host"] or ""):lower() then return nil end
  path = paths.decoded(path or header:match("^/[^?#]*$") or "%")
  return path and paths.in_lake(path)
end

function paths.exists(r, path)
  return r:stat(site.data .. path) ~= nil
end

return paths
