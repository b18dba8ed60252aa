// Capability by site and requirement by site; for one site, capability by endpoint and auth.
const SIDES = ["", "as destination", "as source"];

// Counts by thing (a word) and site: numbers as keys, for this sees every row.
const countBySite = (table, rows, name) => {
  const words = table.column(name);
  const sites = [...new Set([...table.endpoints.map(end => end?.site ?? ""), ...[...new Set(table.site)].map(at => table.head.words[at])])].sort();
  const ofEnd = table.endpoints.map(end => sites.indexOf(end?.site ?? ""));
  const ofWord = new Map([...new Set(table.site)].map(at => [at, sites.indexOf(table.head.words[at])]));
  const things = new Map();
  const add = (word, side, site, row) => {
    const key = word * SIDES.length + side;
    let thing = things.get(key);
    if (!thing) things.set(key, thing = {name: table.head.words[word], side: SIDES[side], squares: [], bad: 0});
    (thing.squares[site] ??= new Square()).add(table, row);
    if (table.bad(row)) thing.bad += 1;
  };
  for (const row of rows) {
    const word = words[row];
    if (name === "requirement" && !word) continue;
    if (name === "capability" && table.isLink(row)) {
      add(word, 1, ofEnd[table.destination[row]], row);
      add(word, 2, ofEnd[table.source[row]], row);
    } else {
      add(word, 0, ofWord.get(table.site[row]), row);
    }
  }
  const order = [...things.values()].sort((one, other) => other.bad - one.bad || one.name.localeCompare(other.name));
  return {sites, things: order};
};

const siteGrid = (table, rows, name, title) => {
  const {sites, things} = countBySite(table, rows, name);
  if (!things.length) return null;
  const used = sites.map((site, at) => ({key: at, label: site || "whole lake"}))
    .filter(({key}) => things.some(thing => thing.squares[key]));
  return makeGrid({
    table, label: title, corner: "", size: used.length > 30 ? "small" : "", columns: used,
    rows: things.map((thing, key) => ({key, label: [thing.name || "other", thing.side].filter(Boolean).join(", ")})),
    at: (thing, site) => things[thing].squares[site] ?? undeclared(table, things[thing].name, sites[site]),
    query: (at, site) => {
      const thing = things[at];
      if (name === "requirement") return {requirement: thing.name, "row-site": sites[site]};
      const place = {"as source": "source-site", "as destination": "destination-site"}[thing.side];
      return place ? {capability: thing.name, [place]: sites[site]}
        : {capability: thing.name, "row-site": sites[site], kind: "cell"};
    },
  });
};

const undeclared = (table, capability, site) => {
  const at = table.endpoints.filter(end => end?.site === site && table.head.unsupported?.[capability]?.includes(end.id));
  return at.length ? `${capability} is not declared at ${at.map(end => end.id).join(", ")}` : "";
};

const SEPARATOR = "\u001f";

const endpointGrid = (table, rows) => {
  const squares = new Map();
  for (const row of rows) {
    if (table.isLink(row)) continue;
    const key = [table.end("cell", row)?.id ?? "", table.word("auth", row), table.word("capability", row)].join(SEPARATOR);
    if (!squares.has(key)) squares.set(key, new Square());
    squares.get(key).add(table, row);
  }
  const places = new Set();
  const capabilities = new Set();
  for (const key of squares.keys()) {
    const [cell, auth, capability] = key.split(SEPARATOR);
    places.add(`${cell}${SEPARATOR}${auth}`);
    capabilities.add(capability);
  }
  if (!places.size) return null;
  let before;
  return makeGrid({
    table, label: "endpoint and auth by capability", corner: "",
    rows: [...places].sort().map(key => {
      const [cell, auth] = key.split(SEPARATOR);
      const first = cell !== before;
      before = cell;
      return {key, label: cell || "whole site", small: auth, first};
    }),
    columns: [...capabilities].sort().map(key => ({key, label: key || "other"})),
    at: (place, capability) => {
      const cell = place.split(SEPARATOR)[0];
      return squares.get(`${place}${SEPARATOR}${capability}`)
        ?? (table.head.unsupported?.[capability]?.includes(cell) ? `${capability} is not declared` : "");
    },
    query: (place, capability) => {
      const [cell, auth] = place.split(SEPARATOR);
      return {cell, auth, capability, kind: "cell"};
    },
  });
};

const showGrids = (table, rows, filter) => {
  const card = (title, grid) => {
    if (!grid) return [];
    const figure = make("figure", undefined, "panel");
    const caption = make("figcaption");
    caption.append(make("b", title));
    const place = make("div", undefined, "scroll");
    place.append(grid);
    figure.append(caption, place);
    return [figure];
  };
  const figures = [
    ...(filter.site ? card(`${filter.site}: capabilities by endpoint and auth`, endpointGrid(table, rows)) : []),
    ...card("Capability by site", siteGrid(table, rows, "capability", "capability by site")),
    ...card("Requirement by site", siteGrid(table, rows, "requirement", "requirement by site")),
  ];
  byId("grids").replaceChildren(...figures);
  byId("capabilities").hidden = !figures.length;
};
