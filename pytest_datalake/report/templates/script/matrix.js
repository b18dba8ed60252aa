// The transfer matrix: one panel for each layer, protocol family and auth; drawn when it comes into view.
const LARGEST_AXIS = 80;     // more endpoints than that are shown as their sites
const KEPT_SQUARES = 20_000; // panels out of view are taken down in larger matrices
const FAMILIES = ["http", "xroot", "gsiftp"];
const LAYERS = ["direct", "fts", "rule"];
const CARRIERS = {direct: "direct", fts: "by FTS", rule: "by rule"};

const rank = (list, item) => { const at = list.indexOf(item); return at < 0 ? list.length : at; };

const panelsOf = (table, rows) => {
  const panels = new Map();
  const {layer, auth, source, destination} = table;
  const ends = table.endpoints.length;
  const families = [];
  const familyOf = table.endpoints.map(end => {
    const family = end ? table.head.families[end.protocol] ?? end.protocol : "";
    if (!families.includes(family)) families.push(family);
    return families.indexOf(family);
  });
  for (const row of rows) {
    if (!table.isLink(row)) continue;
    const streamed = table.streamed[row];
    const family = streamed ? 0 : familyOf[destination[row]];
    const key = ((layer[row] * families.length + family) * table.head.words.length + auth[row]) * 2 + streamed;
    let panel = panels.get(key);
    if (!panel) {
      panel = {
        layer: table.word("layer", row) || "direct", auth: table.word("auth", row), streamed: Boolean(streamed),
        family: streamed ? "streamed" : families[family], squares: new Map(), sources: new Set(), destinations: new Set(),
      };
      panels.set(key, panel);
    }
    const place = source[row] * ends + destination[row];
    let square = panel.squares.get(place);
    if (!square) {
      square = new Square();
      panel.squares.set(place, square);
      panel.sources.add(source[row]);
      panel.destinations.add(destination[row]);
    }
    square.add(table, row);
  }
  for (const panel of panels.values()) {
    panel.count = panel.squares.size;
    panel.good = 0;
    panel.bad = 0;
    panel.total = new Square();
    for (const square of panel.squares.values()) {
      panel.total.merge(table, square);
      if (square.good === square.count) panel.good += 1;
      else if (table.bad(square.worst)) panel.bad += 1;
    }
  }
  return [...panels.values()].sort((one, other) =>
    one.streamed - other.streamed || rank(FAMILIES, one.family) - rank(FAMILIES, other.family)
    || one.auth.localeCompare(other.auth) || rank(LAYERS, one.layer) - rank(LAYERS, other.layer));
};

const carrier = layer => CARRIERS[layer] ?? layer;

const axis = (table, numbers) => {
  const bySite = numbers.size > LARGEST_AXIS;
  const ends = [...numbers].map(number => ({...table.endpoints[number], number}))
    .sort((one, other) => one.site.localeCompare(other.site) || one.rse.localeCompare(other.rse) || one.protocol.localeCompare(other.protocol));
  const several = new Set(ends.map(end => end.protocol)).size > 1;
  const lines = [];
  for (const end of ends) {
    const before = lines.at(-1);
    if (bySite && before?.site === end.site) { before.numbers.push(end.number); continue; }
    lines.push({
      site: end.site, numbers: [end.number], first: before?.site !== end.site, title: `${end.site}: ${end.id}`,
      key: lines.length, label: bySite ? end.site : several ? `${end.rse} ${end.protocol}` : end.rse,
      small: bySite ? "" : [end.technology, end.qos].filter(Boolean).join(" "),
    });
  }
  return {lines, bySite};
};

const drawPanel = (table, panel) => {
  const ends = table.endpoints.length;
  const [sources, destinations] = [axis(table, panel.sources), axis(table, panel.destinations)];
  const side = (name, {lines, bySite}, key) => bySite
    ? {[`${name}-site`]: lines[key].site} : {[name]: table.endpoints[lines[key].numbers[0]].id};
  return makeGrid({
    table, label: `${panel.layer} ${panel.family} ${panel.auth}, source by destination`, corner: "source ↓ destination →",
    rows: sources.lines, columns: destinations.lines, size: destinations.lines.length > 30 ? "small" : "",
    at: (row, column) => {
      let found;
      for (const source of sources.lines[row].numbers) {
        for (const destination of destinations.lines[column].numbers) {
          const square = panel.squares.get(source * ends + destination);
          if (!square) continue;
          if (!sources.bySite && !destinations.bySite) return square;
          found ??= new Square();
          found.merge(table, square);
        }
      }
      return found;
    },
    query: (row, column) => ({
      ...side("source", sources, row), ...side("destination", destinations, column), auth: panel.auth,
      layer: table.head.words.includes(panel.layer) ? panel.layer : "", streamed: panel.streamed ? "yes" : "no",
    }),
  });
};

let watching;

const showMatrix = (table, rows) => {
  const panels = panelsOf(table, rows);
  const section = byId("matrix");
  section.hidden = !panels.length;
  watching?.disconnect();
  const squares = panels.reduce((sum, panel) => sum + panel.count, 0);
  const figures = new Map();
  watching = new IntersectionObserver(entries => {
    for (const {target, isIntersecting} of entries) {
      const {panel, place} = figures.get(target);
      if (isIntersecting && !place.firstChild) {
        place.append(drawPanel(table, panel));
        place.removeAttribute("style");
      }
      if (!isIntersecting && place.firstChild && squares > KEPT_SQUARES && !place.contains(document.activeElement)) {
        place.style.height = `${place.offsetHeight}px`;
        place.style.width = `${place.offsetWidth}px`;
        place.replaceChildren();
      }
    }
  }, {rootMargin: "400px"});
  const several = new Set(panels.map(panel => panel.layer)).size > 1;
  panels.forEach((panel, number) => {
    const figure = make("figure", undefined, "panel");
    figure.id = `panel-${number}`;
    const caption = make("figcaption");
    caption.append(make("b", panel.family), " ");
    caption.append(make("span", panel.auth || "no auth", "chip"), " ");
    if (several) caption.append(make("span", carrier(panel.layer), "chip"), " ");
    caption.append(make("span", `${panel.good}/${panel.count}`, "share"));
    const place = make("div", undefined, "scroll");
    const step = panel.destinations.size > 30 ? 16 : 27;  // so that little moves when it is drawn
    place.style.height = `${Math.min(panel.sources.size, LARGEST_AXIS) * step + 120}px`;
    place.style.width = `${Math.min(panel.destinations.size, LARGEST_AXIS) * step + 150}px`;
    figure.append(caption, place);
    figures.set(figure, {panel, place});
    panel.figure = figure;
  });
  // The same links direct, by FTS and by rule stand side by side; what has most failures comes first.
  const groups = [...grouped(panels, panel => `${panel.family} ${panel.auth}`).values()];
  const failures = group => group.reduce((sum, panel) => sum + panel.bad, 0);
  groups.sort((one, other) => failures(other) - failures(one));
  byId("panels").replaceChildren(...groups.map(group => {
    const place = make("div", undefined, "panels");
    place.append(...group.map(panel => panel.figure));
    return place;
  }));
  byId("panels-summary").replaceChildren(...(panels.length > 1 ? [overview(table, panels)] : []));
  for (const figure of figures.keys()) watching.observe(figure);
};

// All panels at a glance, each a way to its panel: families down and auths across, or, where links are tested in
// several layers, families with auths down and layers across.
const overview = (table, panels) => {
  const layers = [...new Set(panels.map(panel => panel.layer))].sort((one, other) => rank(LAYERS, one) - rank(LAYERS, other));
  const auths = [...new Set(panels.map(panel => panel.auth))].sort();
  const [down, across, columns] = layers.length > 1
    ? [panel => `${panel.family} ${panel.auth}`, panel => panel.layer, layers]
    : [panel => panel.family, panel => panel.auth, auths];
  const grid = make("table", undefined, "overview");
  grid.setAttribute("aria-label", "links that passed, by protocol family, auth and layer");
  const head = grid.createTHead().insertRow();
  head.append(make("td"));
  for (const column of columns) {
    const cell = make("th", layers.length > 1 ? carrier(column) : column || "no auth");
    cell.scope = "col";
    head.append(cell);
  }
  const body = grid.createTBody();
  for (const group of grouped(panels, down).values()) {
    const line = body.insertRow();
    const name = make("th", down(group[0]));
    name.scope = "row";
    line.append(name);
    for (const column of columns) {
      const cell = line.insertCell();
      const panel = group.find(panel => across(panel) === column);
      if (!panel) continue;
      const outcome = table.outcomeOf(panel.total.worst);
      const link = make("a", `${GLYPHS[outcome]} ${panel.good}/${panel.count}`, LETTERS[outcome]);
      link.href = `#${panel.figure.id}`;
      cell.append(link);
    }
  }
  return grid;
};
