// The packed table (see columns.py): typed arrays that are read where they lie, and dictionaries of texts.
const unpack = async text => {
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at += 1) packed[at] = letters.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const plain = await new Response(stream).arrayBuffer();
  const start = 4 + new DataView(plain).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(plain, 4, start - 4)));
  const kinds = {1: Uint8Array, 2: Uint16Array, 4: Uint32Array};
  const columns = {};
  for (const [name, [size, offset]] of Object.entries(head.columns)) {
    columns[name] = new kinds[size](plain, start + offset, head.count);
  }
  return new Table(head, columns);
};

const EXCUSED = new Set(["passed", "known-issue", "downtime"]);  // what leaves a run green

class Table {
  constructor(head, columns) {
    this.head = head;
    this.columns = columns;
    this.count = head.count;
    this.facts = Object.keys(columns).filter(name => name.startsWith("fact:"));
    this.endpoints = [null, ...head.endpoints.map(
      ([id, site, rse, technology, qos, protocol]) => ({id, site, rse, technology, qos, protocol}))];
    this.none = new Uint8Array(head.count);
    for (const name of ["outcome", "source", "destination", "cell", "site", "auth", "layer", "streamed"]) {
      this[name] = this.column(name);  // what is asked of every row
    }
    this.good = head.outcomes.indexOf("passed");
  }

  column(name) { return this.columns[name] ?? this.none; }
  word(name, row) { return this.head.words[this.column(name)[row]]; }
  text(name, row) { return this.head.texts[this.column(name)[row]]; }
  outcomeOf(row) { return this.head.outcomes[this.outcome[row]]; }
  severity(row) { return this.head.severity[this.outcome[row]]; }
  end(name, row) { return this.endpoints[this.column(name)[row]]; }
  isStreamed(row) { return this.streamed[row] === 1; }
  isLink(row) { return this.source[row] > 0 && this.destination[row] > 0; }
  passed(row) { return this.outcome[row] === this.good; }
  bad(row) { return !EXCUSED.has(this.outcomeOf(row)); }

  nodeid(row) {
    return this.word("nodeid", row).replace(/[\x01-\x04]/g, mark => ({
      "\x01": () => this.end("source", row).id, "\x02": () => this.end("destination", row).id,
      "\x03": () => this.end("cell", row).id, "\x04": () => this.word("auth", row),
    })[mark]());
  }

  // A long text with the values of other columns put in; null where one of them was left out.
  long(name, row) {
    const at = this.column(name)[row];
    let left = at === 1;
    const text = this.head.texts[at].replaceAll("\0", this.nodeid(row)).replace(/\x05([^\x05]*)\x05/g, (_, fact) => {
      left ||= this.column(`fact:${fact}`)[row] === 1;
      return this.text(`fact:${fact}`, row);
    });
    return left ? null : text;
  }

  seconds(row) {
    const step = this.column("seconds")[row];
    if (!step) return "less than 0.01 s";
    const value = 0.01 * 2 ** ((step - 1) / 12);
    return value < 100 ? `${+value.toPrecision(2)} s` : `${Math.round(value / 60)} min`;
  }

  family(row) {
    const end = this.end("destination", row);
    return this.head.families[end.protocol] ?? end.protocol;
  }

  sites(row) {
    const found = new Set();
    for (const name of ["source", "destination", "cell"]) {
      const end = this.end(name, row);
      if (end?.site) found.add(end.site);
    }
    const site = this.word("site", row);
    if (site) found.add(site);
    return found;
  }

  where(row) {
    const auth = this.word("auth", row);
    const by = auth ? ` by ${auth}` : "";
    if (this.isLink(row)) return `${this.end("source", row).id} → ${this.end("destination", row).id}${by}`;
    return `${this.end("cell", row)?.id || this.word("site", row) || "whole lake"}${by}`;
  }
}
