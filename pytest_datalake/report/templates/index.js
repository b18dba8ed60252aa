"use strict";
(() => {
  const byId = id => document.getElementById(id);
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  const glyphs = {"passed": "✓", "failed": "✗", "error": "!", "known-issue": "K", "fixed": "↑", "not-run": "–"};
  const letters = {"passed": "p", "failed": "f", "error": "e", "known-issue": "k", "fixed": "x", "not-run": "n"};
  const worstFirst = ["failed", "error", "fixed", "not-run", "known-issue", "passed"];

  const unpack = async () => {
    const packed = Uint8Array.from(atob(byId("data").textContent), letter => letter.charCodeAt(0));
    const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(plain).text());
  };
  const loaded = unpack();

  const readable = (data, row) => ({
    outcome: row[0], test: data.texts[row[1]], capability: data.texts[row[2]], requirement: data.texts[row[3]],
    reason: data.texts[row[4]], facts: row[5], reproduce: data.texts[row[7]].replaceAll("\0", row[6]),
    details: data.texts[row[8]], issue: row[9].map(text => data.texts[text]),
  });
  const testsOf = (data, number) => data.groups[number][2].map(test => readable(data, data.tests[test]))
    .sort((one, other) => worstFirst.indexOf(one.outcome) - worstFirst.indexOf(other.outcome));

  const size = bytes => {
    if (typeof bytes !== "number") return String(bytes);
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = 0;
    let value = bytes;
    while (value >= 1024 && step < 4) { value /= 1024; step += 1; }
    return step ? `${+value.toFixed(1)} ${units[step]} (${bytes} bytes)` : `${bytes} bytes`;
  };
  const fact = (name, value) => name === "bytes" ? size(value) : name === "seconds" ? `${value} s` : String(value);

  const copyButton = text => {
    const button = make("button", "copy", "copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "copied";
      } catch {
        button.textContent = "select it by hand";
      }
    });
    return button;
  };

  const describe = test => {
    const block = make("div", undefined, "test");
    const title = make("h3");
    title.append(make("span", `${glyphs[test.outcome]} ${test.outcome}`, `badge ${letters[test.outcome]}`), make("span", test.test));
    block.append(title, make("small", [test.capability, test.requirement].filter(Boolean).join(" · ")));
    if (test.reason) block.append(make("p", test.reason, "reason"));
    const facts = make("dl");
    const line = (name, value) => facts.append(make("dt", name), make("dd", value));
    for (const [name, value] of Object.entries(test.facts)) line(name.replaceAll("_", " "), fact(name, value));
    if (test.issue.length && test.outcome !== "passed") {
      line("known issue", test.issue[0]);
      line("reference", test.issue[1]);
      if (test.issue[2]) line("until", test.issue[2]);
    }
    block.append(facts);
    if (test.reproduce) block.append(make("small", "reproduce"), make("pre", test.reproduce), copyButton(test.reproduce));
    if (test.details) {
      const more = make("details");
      more.append(make("summary", "details"), make("pre", test.details));
      block.append(more);
    }
    return block;
  };

  const panel = byId("panel");
  const open = async number => {
    hide();
    const body = byId("panel-body");
    try {
      const data = await loaded;
      byId("panel-title").textContent = data.groups[number][1];
      body.replaceChildren(...testsOf(data, number).map(describe));
      history.replaceState(null, "", "#" + encodeURIComponent(data.groups[number][0]));
    } catch {
      byId("panel-title").textContent = "Evidence";
      body.replaceChildren(make("p", "This browser cannot unpack the evidence: see results.jsonl."));
    }
    if (!panel.open) panel.showModal();
    panel.scrollTop = 0;
  };
  byId("close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", event => { if (event.target === panel) panel.close(); });
  panel.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));

  const tip = byId("tip");
  const hide = () => { tip.hidden = true; };
  const show = async cell => {
    let data;
    try { data = await loaded; } catch { return; }
    if (!cell.matches(":hover, :focus")) return;
    const [, title, tests] = data.groups[+cell.dataset.g];
    const worst = testsOf(data, +cell.dataset.g)[0];
    const good = tests.filter(test => data.tests[test][0] === "passed").length;
    cell.removeAttribute("title");
    const text = worst.outcome === "passed" ? `✓ ${good} passed` : `${glyphs[worst.outcome]} ${worst.outcome}: ${worst.reason.slice(0, 160)}`;
    cell.setAttribute("aria-label", `${title}: ${text}`);
    tip.replaceChildren(make("b", title), make("span", tests.length > 1 && worst.outcome !== "passed" ? `${text} (${good} of ${tests.length} passed)` : text));
    tip.hidden = false;
    const at = cell.getBoundingClientRect();
    const below = at.bottom + tip.offsetHeight + 10 < innerHeight;
    tip.style.left = `${Math.max(6, Math.min(at.left, innerWidth - tip.offsetWidth - 6))}px`;
    tip.style.top = `${below ? at.bottom + 7 : at.top - tip.offsetHeight - 7}px`;
  };

  const grids = [...document.querySelectorAll("table[role=grid]")];
  for (const grid of grids) {
    const cells = [...grid.querySelectorAll("td[data-g]")];
    cells.forEach((cell, position) => { cell.tabIndex = position ? -1 : 0; });
    const focus = cell => {
      cells.forEach(other => { other.tabIndex = other === cell ? 0 : -1; });
      cell.focus();
    };
    grid.addEventListener("keydown", event => {
      const cell = event.target.closest("td[data-g]");
      if (!cell) return;
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open(+cell.dataset.g);
        return;
      }
      const step = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]}[event.key];
      if (!step) return;
      event.preventDefault();
      const rows = [...grid.tBodies[0].rows];
      let row = rows.indexOf(cell.parentNode) + step[0];
      let column = cell.cellIndex + step[1];
      while (rows[row] && column >= 0 && column < cell.parentNode.cells.length) {
        const next = rows[row].cells[column];
        if (next && next.dataset.g) { focus(next); return; }
        row += step[0];
        column += step[1];
      }
    });
    for (const kind of ["pointerover", "focusin"]) {
      grid.addEventListener(kind, event => {
        const cell = event.target.closest("td[data-g]");
        if (cell) show(cell); else hide();
      });
    }
    for (const kind of ["pointerleave", "focusout"]) grid.addEventListener(kind, hide);
  }
  addEventListener("scroll", hide, {passive: true, capture: true});
  document.addEventListener("click", event => {
    const cell = event.target.closest("[data-g]");
    if (cell) open(+cell.dataset.g);
  });

  byId("site").addEventListener("change", event => {
    const site = event.target.value;
    for (const card of document.querySelectorAll(".card")) card.hidden = Boolean(site) && card.dataset.site !== site;
    for (const row of document.querySelectorAll("tr[data-sites]")) row.hidden = Boolean(site) && !row.dataset.sites.split(" ").includes(site);
    for (const grid of document.querySelectorAll(".panel table")) {
      const heads = [...grid.tHead.rows[0].cells];
      for (const row of grid.tBodies[0].rows) {
        [...row.cells].forEach((cell, position) => {
          const own = row.dataset.site === site || (position > 0 && heads[position].dataset.site === site);
          cell.classList.toggle("dim", Boolean(site) && !own);
        });
      }
    }
  });

  const fromAddress = async () => {
    const name = decodeURIComponent(location.hash.slice(1));
    if (!name || document.getElementById(name)) return;
    const number = (await loaded).groups.findIndex(group => group[0] === name);
    if (number >= 0) open(number);
  };
  addEventListener("hashchange", fromAddress);
  fromAddress();
})();
