// Rows counted together, and grids of them: tables that the arrow keys walk through.
class Square {
  constructor() { this.worst = -1; this.count = 0; this.good = 0; }

  add(table, row) {
    if (this.worst < 0 || table.severity(row) > table.severity(this.worst)) this.worst = row;
    this.count += 1;
    if (table.passed(row)) this.good += 1;
  }

  merge(table, other) {
    if (this.worst < 0 || table.severity(other.worst) > table.severity(this.worst)) this.worst = other.worst;
    this.count += other.count;
    this.good += other.good;
  }
}

const behind = new WeakMap();  // of a square on the page: {square, query}

// Rows and columns are [{key, label, small, title, first}]; at(row, column) is a Square or a hint, or nothing.
const makeGrid = ({table, label, corner, rows, columns, at, query, size = ""}) => {
  const grid = make("table", undefined, `heat ${size}`);
  grid.setAttribute("role", "grid");
  grid.setAttribute("aria-label", label);
  const head = grid.createTHead().insertRow();
  const first = make("td", undefined, "corner");
  first.append(make("span", corner));
  head.append(first);
  for (const column of columns) {
    const cell = make("th", undefined, column.first ? "s" : "");
    cell.scope = "col";
    cell.title = column.title ?? column.label;
    const text = make("span", column.label);
    if (column.small) text.append(" ", make("small", column.small));
    cell.append(text);
    head.append(cell);
  }
  const body = grid.createTBody();
  let start = true;
  for (const row of rows) {
    const line = body.insertRow();
    if (row.first) line.className = "s";
    const name = make("th", row.label);
    name.scope = "row";
    name.title = row.title ?? row.label;
    if (row.small) name.append(" ", make("small", row.small));
    line.append(name);
    for (const column of columns) {
      const found = at(row.key, column.key);
      const cell = line.insertCell();
      if (!(found instanceof Square)) {
        cell.className = "o";
        if (found) { cell.textContent = "·"; cell.title = found; }
        continue;
      }
      const outcome = table.outcomeOf(found.worst);
      const few = outcome !== "passed" && 2 * (found.count - found.good) < found.count;
      cell.className = `${LETTERS[outcome]}${few ? " few" : ""}`;
      cell.textContent = GLYPHS[outcome];
      cell.tabIndex = start ? 0 : -1;
      start = false;
      cell.setAttribute("aria-label", `${row.label}, ${column.label}: ${summary(table, found)}`);
      behind.set(cell, {square: found, query: query(row.key, column.key)});
    }
  }
  grid.addEventListener("keydown", walk);
  return grid;
};

const summary = (table, square) => {
  const outcome = table.outcomeOf(square.worst);
  if (outcome === "passed") return `${plural(square.good, "test")} passed`;
  const reason = (table.long("reason", square.worst) ?? "").slice(0, 160);
  const rest = square.count > 1 ? ` (${square.good} of ${square.count} passed)` : "";
  return `${outcome}${reason ? `: ${essence(reason)}` : ""}${rest}`;
};

// The cause before the addresses, as in reasons.py, for what stands on one line.
const essence = reason => reason
  .replace(/^(?:something else than the known issue at \S+|known issue expired on [\d-]+): /, "")
  .replace(/^(?:\w+(?:Error|Timeout|Exception): )?[\w-]+ [a-z][a-z0-9+]*:\/\/\S+(?: -> [a-z][a-z0-9+]*:\/\/\S+)?: /, "")
  .replace(/rule \w+ is STUCK: (?:RequestErrMsg\.\w+:)?|(?:(?:TRANSFER|SOURCE|DESTINATION) ERROR: )?Copy failed \([^)]*\)\. Last attempt: (?:Transfer failure: )?/, "");

const walk = event => {
  const cell = event.target.closest("td");
  const step = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]}[event.key];
  if (!cell || !behind.has(cell) || !step) return;
  event.preventDefault();
  const rows = event.currentTarget.tBodies[0].rows;
  let row = cell.parentNode.sectionRowIndex + step[0];
  let column = cell.cellIndex + step[1];
  while (rows[row]?.cells[column]) {
    const next = rows[row].cells[column];
    if (behind.has(next)) {
      cell.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      return;
    }
    row += step[0];
    column += step[1];
  }
};
