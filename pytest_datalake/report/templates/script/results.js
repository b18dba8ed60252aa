// The list of results, what is not green first; drawn a hundred at a time.
const LISTED = 100;

const showResults = (table, rows) => {
  const also = {passed: byId("passed").checked, "known-issue": byId("expected").checked, downtime: byId("expected").checked};
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = row => {
    if (!words.length) return true;
    const text = `${table.where(row)} ${table.word("test", row)} ${table.word("requirement", row)} ${table.long("reason", row) ?? ""}`.toLowerCase();
    return words.every(word => text.includes(word));
  };
  const listed = worstFirst(table, rows.filter(row => (also[table.outcomeOf(row)] ?? true) && fits(row)));
  const body = byId("results-body");
  const more = byId("results-more");
  body.replaceChildren();
  byId("results-count").textContent = listed.length ? plural(listed.length, "test") : "None.";
  byId("results-table").hidden = !listed.length;
  let shown = 0;
  const next = () => {
    for (const row of listed.slice(shown, shown + LISTED)) body.append(resultLine(table, row));
    shown += LISTED;
    more.hidden = shown >= listed.length;
    more.textContent = `show ${Math.min(LISTED, listed.length - shown)} more of ${(listed.length - shown).toLocaleString("en")}`;
  };
  more.onclick = next;
  next();
};

const resultLine = (table, row) => {
  const line = make("tr");
  const outcome = make("td");
  outcome.append(badge(table.outcomeOf(row)));
  const where = make("td");
  const button = make("button", table.where(row), "where");
  button.type = "button";
  button.addEventListener("click", () => openRows(table, table.where(row), [row]));
  where.append(button);
  const test = make("td");
  test.append(...breakable(table.word("test", row)));
  test.append(make("small", [table.word("capability", row), table.word("requirement", row)].filter(Boolean).join(" · ")));
  const reason = essence(table.long("reason", row) ?? "");
  line.append(outcome, where, test, make("td", reason.length > 300 ? `${reason.slice(0, 299)}…` : reason));
  return line;
};
