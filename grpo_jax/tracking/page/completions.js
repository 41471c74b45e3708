"use strict";
// The browser of completions: only the rows in sight exist, so that ten thousand scroll like ten.

const ROW = 60, SPARE = 6;
const FILTERS = ["run", "domain", "status", "finish_reason"];
const byId = (id) => document.getElementById(id);

const HALVES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function named(found) { return `\u27e8U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`; }

// Control characters as pictures; marks that hide or turn text, and half characters, by their names.
function visible(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (found) => String.fromCharCode(0x2400 + found.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421")
    .replace(/[\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, named)
    .replace(HALVES, named);
}

function oneLine(text, characters) { return visible(text.slice(0, characters).replace(/\s+/g, " ")); }

function figure(value) { return value === null ? "none" : String(Math.round(value * 1000) / 1000); }

class Browser {
  constructor(data) {
    this.data = data;
    this.count = data.step.length;
    this.rows = Array.from({ length: this.count }, (_, number) => number);
    this.list = byId("list");
    this.space = make("div");
    this.list.append(this.space);
    this.words = null;
    for (const name of FILTERS) this.fill(byId(name), data.tables[name], name.replace("_", " "));
    const steps = [...new Set(data.step)].sort((a, b) => a - b);
    this.fill(byId("step"), steps, "step");
    for (const id of [...FILTERS, "step", "view", "search"]) byId(id).addEventListener("input", () => this.choose());
    this.list.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.list);
    byId("previous").addEventListener("click", () => this.open(this.opened - 1));
    byId("next").addEventListener("click", () => this.open(this.opened + 1));
    byId("close").addEventListener("click", () => byId("detail").close());
    this.choose();
  }

  fill(select, values, name) {
    select.add(new Option(`every ${name}`, ""));
    values.forEach((value, number) => {
      select.add(new Option(`${name} ${oneLine(String(value), 60)}`, name === "step" ? value : number));
    });
    select.hidden = values.length < 2;
  }

  value(name, row) { return this.data.tables[name][this.data[name][row]]; }

  // What a search looks through, made when first searched.
  wordsOf(row) {
    this.words ??= this.rowsOfAll().map((one) =>
      [this.value("problem_id", one), this.value("prompt", one), this.data.text[one], this.value("reason", one)]
        .join("\n").toLowerCase());
    return this.words[row];
  }

  rowsOfAll() { return Array.from({ length: this.count }, (_, number) => number); }

  // Difference between the best and the worst reward of each group.
  spreads() {
    if (this.spread) return this.spread;
    const groups = new Map(), { run, step, problem_id: problem, total } = this.data;
    this.group = this.rowsOfAll().map((row) => `${run[row]} ${step[row]} ${problem[row]}`);
    this.group.forEach((key, row) => {
      if (total[row] === null) return;
      const [low, high] = groups.get(key) ?? [Infinity, -Infinity];
      groups.set(key, [Math.min(low, total[row]), Math.max(high, total[row])]);
    });
    this.spread = this.group.map((key) => { const [low, high] = groups.get(key) ?? [0, 0]; return high - low; });
    return this.spread;
  }

  choose() {
    const { data } = this, view = byId("view").value, search = byId("search").value.toLowerCase();
    const wanted = FILTERS.map((name) => [name, byId(name).value]).filter(([, value]) => value !== "");
    const step = byId("step").value;
    let rows = this.rowsOfAll().filter((row) =>
      wanted.every(([name, value]) => data[name][row] === Number(value))
      && (step === "" || data.step[row] === Number(step))
      && (search === "" || this.wordsOf(row).includes(search)));
    if (view === "timeout") rows = rows.filter((row) => this.value("status", row) === "timeout");
    if (view === "truncated") rows = rows.filter((row) => this.value("finish_reason", row) === "length");
    if (view === "best" || view === "worst") {
      const sign = view === "best" ? -1 : 1;
      rows = rows.filter((row) => data.total[row] !== null);
      rows.sort((a, b) => sign * (data.total[a] - data.total[b]) || a - b);
    }
    if (view === "disagreeing") {
      const spread = this.spreads();
      rows = rows.filter((row) => spread[row] > 0);
      rows.sort((a, b) => spread[b] - spread[a] || (this.group[a] < this.group[b] ? -1 : this.group[a] > this.group[b] ? 1
        : data.total[b] - data.total[a]) || a - b);
    }
    this.rows = rows;
    byId("count").textContent = `${rows.length.toLocaleString("en")} of ${this.count.toLocaleString("en")} completions`;
    this.space.style.height = `${rows.length * ROW}px`;
    this.list.scrollTop = 0;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - SPARE);
    const last = Math.min(this.rows.length, first + Math.ceil(this.list.clientHeight / ROW) + 2 * SPARE);
    const made = [];
    for (let place = first; place < last; place++) made.push(this.line(place));
    this.space.replaceChildren(...made);
  }

  line(place) {
    const { data } = this, row = this.rows[place], line = make("button", undefined, "row"), head = make("div");
    line.type = "button";
    line.style.top = `${place * ROW}px`;
    head.append(make("span", this.value("status", row), "status"),
      ` reward ${figure(data.total[row])}  advantage ${figure(data.advantage[row])}  `
      + `step ${data.step[row]}  ${this.value("domain", row)}  ${data.tokens[row]} tokens`
      + (data.tables.run.length > 1 ? `  ${this.value("run", row)}` : ""));
    line.append(head, make("div", oneLine(data.text[row], 300) || "(empty)"));
    line.addEventListener("click", () => this.open(place));
    return line;
  }

  open(place) {
    if (place < 0 || place >= this.rows.length) return;
    this.opened = place;
    const { data } = this, row = this.rows[place], table = make("table"), body = byId("body");
    const names = this.value("names", row);
    const facts = [["problem", this.value("problem_id", row)], ["run", this.value("run", row)],
      ["step", data.step[row]], ["domain", this.value("domain", row)], ["status", this.value("status", row)],
      ["reason", this.value("reason", row)], ["reward", figure(data.total[row])],
      ...names.map((name, at) => [`part ${name}`, figure(data.parts[row][at])]),
      ["advantage", figure(data.advantage[row])], ["tokens", `${data.tokens[row]}, ${this.value("finish_reason", row)}`],
      ["wanted", this.value("ground_truth", row)]];
    for (const [name, value] of facts) {
      if (value === "") continue;
      const line = table.insertRow();
      line.append(make("th", name), make("td", visible(String(value))));
      line.lastChild.style.textAlign = "left";
    }
    body.replaceChildren(make("h3", "Prompt"), make("pre", visible(this.value("prompt", row))),
      make("h3", "Completion"), make("pre", visible(data.text[row])), table);
    byId("previous").disabled = place === 0;
    byId("next").disabled = place === this.rows.length - 1;
    if (!byId("detail").open) byId("detail").showModal();
    byId("detail").scrollTop = 0;
  }
}
