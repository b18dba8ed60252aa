// Questions about rows: what the filters let through, and what stands behind a square.
const AXES = ["site", "protocol", "auth", "qos", "experiment", "layer"];

// For each key of a query, a function that says of a row whether it fits.
const conditions = (table, query) => Object.entries(query).filter(([, value]) => value !== "").map(([name, value]) => {
  const ends = key => {
    const fit = table.endpoints.map(end => Boolean(end) && end[key] === value);
    const columns = ["source", "destination", "cell"].map(column => table.column(column));
    return row => columns.some(column => fit[column[row]]);
  };
  const word = column => {
    const at = table.head.words.indexOf(value);
    const numbers = table.column(column);
    return at < 0 ? () => false : row => numbers[row] === at;
  };
  switch (name) {
    case "site": { const end = ends("site"); const own = word("site"); return row => end(row) || own(row); }
    case "qos": { const end = ends("qos"); const own = word("qos"); return row => end(row) || own(row); }
    case "protocol": { const end = ends("protocol"); const own = word("protocol"); return row => end(row) || own(row); }
    case "source": case "destination": case "cell": {
      const fit = table.endpoints.map(end => Boolean(end) && end.id === value);
      const numbers = table.column(name);
      return row => fit[numbers[row]];
    }
    case "source-site": case "destination-site": {
      const fit = table.endpoints.map(end => Boolean(end) && end.site === value);
      const numbers = table.column(name.slice(0, -5));
      return row => fit[numbers[row]];
    }
    case "row-site": return word("site");
    case "kind": return row => (value === "link") === table.isLink(row);
    case "streamed": return row => table.isStreamed(row) === (value === "yes");
    default: return word(name);
  }
});

const matching = (table, query) => {
  const tests = conditions(table, query);
  const rows = [];
  for (let row = 0; row < table.count; row += 1) {
    if (tests.every(test => test(row))) rows.push(row);
  }
  return rows;
};

const worstFirst = (table, rows) => [...rows].sort((one, other) => table.severity(other) - table.severity(one) || one - other);

// What can be chosen on each axis.
const choices = table => {
  const found = Object.fromEntries(AXES.map(axis => [axis, new Set()]));
  for (const end of table.endpoints.slice(1)) {
    found.site.add(end.site);
    found.protocol.add(end.protocol);
    found.qos.add(end.qos);
  }
  for (const axis of AXES) {
    for (const word of new Set(table.column(axis))) found[axis].add(table.head.words[word]);
    found[axis].delete("");
  }
  return Object.fromEntries(AXES.map(axis => [axis, [...found[axis]].sort()]));
};
