// The evidence behind a square or a row, in a dialog that has an address of its own.
const PAGE = 40;

const size = text => {
  const bytes = Number(text);
  if (!Number.isFinite(bytes)) return text;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  let value = bytes;
  while (value >= 1024 && step < 4) { value /= 1024; step += 1; }
  return step ? `${+value.toFixed(1)} ${units[step]} (${bytes.toLocaleString("en")} bytes)` : `${bytes} bytes`;
};

const day = text => text.slice(0, 16).replace("T", " ");

const STATES = {first: "never run before", new: "did not fail in the run before", still: "failed in the run before, too"};
const STATUSES = {ok: "works otherwise", flaky: "comes and goes", broken: "broken"};

const describe = (table, row) => {
  const block = make("article", undefined, "test");
  const outcome = table.outcomeOf(row);
  const title = make("h3");
  title.append(badge(outcome), make("span", table.word("test", row)));
  const kind = [table.word("capability", row), table.word("requirement", row)].filter(Boolean).join(" · ");
  block.append(title, make("small", `${table.where(row)}${kind ? ` · ${kind}` : ""}`));
  const reason = table.long("reason", row);
  if (reason) {
    const short = essence(reason);
    block.append(make("p", short, "reason"));
    if (short !== reason) block.append(folded("in full", make("pre", reason)));
  }
  const past = table.head.past[row];
  const facts = make("dl");
  const line = (name, value) => { if (value) facts.append(make("dt", name), make("dd", value)); };
  if (past) {
    const [success, failure, recent, state, status] = past;
    line("last success", success ? day(success) : "never seen");
    line("failing since", failure && day(failure));
    line("recent runs", [...recent].map(letter => ({p: "✓", f: "✗"})[letter] ?? "–").join(" "));
    line("history", [STATES[state], STATUSES[status]].filter(Boolean).join("; "));
  }
  for (const name of table.facts) {
    const value = table.text(name, row);
    const word = name.slice(5);
    line(word.replaceAll("_", " "), value && word === "bytes" ? size(value) : value);
  }
  line("identity", table.word("identity", row));
  line("layer", table.word("layer", row));
  line("took", table.seconds(row));
  const [why, reference, until] = table.text("issue", row).split("\n");
  if (why && outcome !== "passed") {
    line("known issue", why);
    line("reference", reference);
    line("until", until);
  }
  const [work, announcement, end] = table.text("downtime", row).split("\n");
  if (work) {
    line("in downtime", work);
    line("announced", announcement);
    line("until", day(end));
  }
  block.append(facts);
  const [hand, again] = commands(table, row);
  for (const [name, command] of [["reproduce by hand", hand], ["reproduce with pytest", again]]) {
    if (command) block.append(make("small", name), make("pre", command, "command"), copyButton(command));
  }
  const logs = table.text("logs", row);
  if (logs) block.append(folded("server log", make("pre", logs)));
  const details = table.long("details", row);
  if (details) block.append(folded("details", make("pre", details)));
  return block;
};

const commands = (table, row) => {
  const again = `pytest '${table.nodeid(row)}'`;
  const [hand, marked] = (table.long("reproduce", row) ?? "").split("  # or: ");
  return hand === again || (!marked && hand.startsWith("pytest ")) ? ["", hand] : [hand, marked ?? again];
};

const titleOf = query => {
  const from = query.source ?? query["source-site"];
  const to = query.destination ?? query["destination-site"];
  const at = from && to ? `${from} → ${to}` : from ? `from ${from}` : to ? `to ${to}` : query.cell ?? query["row-site"] ?? "";
  return [query.capability ?? query.requirement, at, query.auth && `by ${query.auth}`, query.layer && query.layer !== "direct" && `(${query.layer})`]
    .filter(Boolean).join(" ") || "Evidence";
};

const panel = byId("panel");

const openRows = (table, title, rows, address) => {
  hideTip();
  const ordered = worstFirst(table, rows);
  const body = byId("panel-body");
  byId("panel-title").textContent = title;
  body.replaceChildren(make("p", ordered.length ? plural(ordered.length, "test") : "There are no such tests in this run.", "share"));
  let shown = 0;
  const more = make("button", undefined, "copy");
  const next = () => {
    more.remove();
    for (const row of ordered.slice(shown, shown + PAGE)) body.append(describe(table, row));
    shown += PAGE;
    if (shown < ordered.length) {
      more.textContent = `show ${Math.min(PAGE, ordered.length - shown)} more of ${ordered.length - shown}`;
      body.append(more);
    }
  };
  more.addEventListener("click", next);
  next();
  if (address) history.replaceState(null, "", address);
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
};

const openQuery = (table, query) => {
  const asked = Object.fromEntries(Object.entries(query).filter(([, value]) => value));
  openRows(table, titleOf(asked), matching(table, asked), `#evidence?${new URLSearchParams(asked)}`);
};

byId("close").addEventListener("click", () => panel.close());
panel.addEventListener("click", event => { if (event.target === panel) panel.close(); });

const tip = byId("tip");
const hideTip = () => { tip.hidden = true; };
const showTip = (table, cell) => {
  const {square, query} = behind.get(cell);
  tip.replaceChildren(make("b", titleOf(query)), make("span", `${GLYPHS[table.outcomeOf(square.worst)]} ${summary(table, square)}`));
  tip.hidden = false;
  const at = cell.getBoundingClientRect();
  const below = at.bottom + tip.offsetHeight + 10 < innerHeight;
  tip.style.left = `${Math.max(6, Math.min(at.left, innerWidth - tip.offsetWidth - 6))}px`;
  tip.style.top = `${below ? at.bottom + 7 : at.top - tip.offsetHeight - 7}px`;
};
