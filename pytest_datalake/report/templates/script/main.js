// Starts the page: unpack, filter, draw; then whatever is clicked.
const start = async () => {
  const table = await unpack(byId("data").textContent);
  const filter = Object.fromEntries(AXES.map(axis => [axis, ""]));
  let rows = [];

  const draw = () => {
    rows = matching(table, filter);
    const active = Object.entries(filter).filter(([, value]) => value);
    const bad = rows.reduce((sum, row) => sum + (table.bad(row) ? 1 : 0), 0);
    byId("filtered").textContent = active.length
      ? `${plural(rows.length, "test")}, ${bad.toLocaleString("en")} not green` : "";
    byId("clear").hidden = !active.length;
    byId("filters").classList.toggle("active", active.length > 0);
    showMatrix(table, rows);
    showGrids(table, rows, filter);
    showResults(table, rows);
    for (const element of document.querySelectorAll("[data-sites]")) {
      element.hidden = Boolean(filter.site) && !element.dataset.sites.split(" ").includes(filter.site);
    }
  };

  const address = () => {
    const chosen = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
    history.replaceState(null, "", chosen.size ? `#filter?${chosen}` : location.pathname + location.search);
  };

  for (const [axis, values] of Object.entries(choices(table))) {
    const select = byId(`filter-${axis}`);
    select.append(...values.map(value => make("option", value)));
    select.parentNode.hidden = values.length < 2;
    select.addEventListener("change", () => { filter[axis] = select.value; draw(); address(); });
  }
  byId("clear").addEventListener("click", () => {
    for (const axis of AXES) filter[axis] = byId(`filter-${axis}`).value = "";
    draw();
    address();
  });
  let waiting;
  byId("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => showResults(table, rows), 120);
  });
  for (const name of ["passed", "expected"]) byId(name).addEventListener("change", () => showResults(table, rows));

  document.addEventListener("click", event => {
    const cell = event.target.closest("td");
    if (cell && behind.has(cell)) openQuery(table, within(behind.get(cell).query));
    const fault = event.target.closest("[data-fault]");
    if (fault) {
      const number = Number(fault.dataset.fault);
      openRows(table, fault.dataset.title, table.head.faults[number], `#evidence-of-${number}`);
    }
    const change = event.target.closest("[data-change]");
    if (change) openRows(table, change.dataset.title, table.head.changes[change.dataset.change]);
  });
  const within = query => ({experiment: filter.experiment, qos: filter.qos, protocol: filter.protocol, ...query});
  document.addEventListener("keydown", event => {
    const cell = event.target.closest?.("td");
    if (cell && behind.has(cell) && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      openQuery(table, within(behind.get(cell).query));
    }
  });
  const tipFor = cell => { if (cell && behind.has(cell)) showTip(table, cell); else hideTip(); };
  const tipForFocus = () => tipFor(document.activeElement);
  document.addEventListener("pointerover", event => {
    const cell = event.target.closest?.("td");
    if (cell && behind.has(cell)) showTip(table, cell); else tipForFocus();
  });
  document.addEventListener("focusin", tipForFocus);
  addEventListener("scroll", tipForFocus, {passive: true, capture: true});
  panel.addEventListener("close", address);

  const fromAddress = () => {
    const [name, search] = location.hash.slice(1).split("?");
    if (name === "evidence" && search) openQuery(table, Object.fromEntries(new URLSearchParams(search)));
    if (name === "filter" && search) {
      const chosen = new URLSearchParams(search);
      for (const axis of AXES) filter[axis] = byId(`filter-${axis}`).value = chosen.get(axis) ?? "";
      draw();
    }
  };
  draw();
  addEventListener("hashchange", fromAddress);
  fromAddress();
  requestAnimationFrame(() => { document.documentElement.dataset.ready = String(Math.round(performance.now())); });
};

start().catch(error => {
  byId("trouble").hidden = false;
  byId("trouble").append(make("small", String(error)));
});
