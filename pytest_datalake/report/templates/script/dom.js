// Elements are made one by one: texts come from servers, and textContent keeps them texts.
const byId = id => document.getElementById(id);

const make = (tag, text, name) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
};

const GLYPHS = {passed: "✓", failed: "✗", error: "!", "known-issue": "K", downtime: "D", fixed: "↑", "not-run": "–"};
const LETTERS = {passed: "p", failed: "f", error: "e", "known-issue": "k", downtime: "d", fixed: "x", "not-run": "n"};

const badge = outcome => make("span", `${GLYPHS[outcome]} ${outcome}`, `badge ${LETTERS[outcome]}`);

const copyButton = text => {
  const button = make("button", "copy", "copy");
  button.type = "button";
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

const folded = (title, ...content) => {
  const details = make("details");
  details.append(make("summary", title), ...content);
  return details;
};

// A name that may be broken after its underscores, and is the same text when it is copied.
const breakable = name => name.split(/(?<=_)/).flatMap(part => [part, make("wbr")]);

const grouped = (items, key) => {  // as Map.groupBy, which browsers have since 2024 only
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(key(item))) groups.set(key(item), []);
    groups.get(key(item)).push(item);
  }
  return groups;
};

const plural = (count, thing) => `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
