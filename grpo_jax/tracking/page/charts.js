"use strict";
// Plots as SVG, drawn at the width that they have; every text from outside goes through textContent.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 230, LEFT = 52, RIGHT = 10, TOP = 14, BOTTOM = 24;
const DASHES = ["", "6 4", "2 3"];

function make(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function shape(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function colour(number) { return `var(--c${number < 9 ? number : 1 + (number - 1) % 8})`; }

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(3)}G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  return size !== 0 && size < 1e-3 ? value.toExponential(1) : String(+value.toPrecision(4));
}

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(at);
  return found;
}

// An exponential moving average over so many points.
function smoothed(values, points) {
  if (points < 2) return values;
  const keep = 1 - 2 / (points + 1);
  let sum = 0, weight = 0;
  return values.map((value) => {
    sum = keep * sum + value; weight = keep * weight + 1;
    return sum / weight;
  });
}

class Plot {
  constructor(chart, phases) {
    this.chart = chart;
    this.phases = phases;
    this.hidden = new Set();
    this.smoothing = 1;
    this.figure = make("figure");
    this.figure.id = `plot-${chart.key}`;
    this.figure.append(make("h3", chart.title));
    this.legend = make("div", undefined, "legend");
    this.box = make("div");
    this.tip = make("div", undefined, "tip");
    this.tip.hidden = true;
    this.figure.append(this.legend, this.box, this.tip);
    chart.series.forEach((series, number) => this.addLegend(series, number));
    this.box.addEventListener("pointermove", (event) => this.point(event));
    this.box.addEventListener("pointerdown", (event) => this.point(event));
    this.box.addEventListener("pointerleave", () => { this.tip.hidden = true; this.cross?.setAttribute("opacity", 0); });
    new ResizeObserver(() => { if (this.box.clientWidth !== this.width) this.draw(); }).observe(this.box);
  }

  addLegend(series, number) {
    const button = make("button"), swatch = make("span", undefined, "swatch");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    swatch.style.borderTopColor = colour(series.colour);
    swatch.style.borderTopStyle = ["solid", "dashed", "dotted"][series.dash];
    button.append(swatch, series.name);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(number)) this.hidden.add(number);
      button.setAttribute("aria-pressed", String(!this.hidden.has(number)));
      this.draw();
    });
    this.legend.append(button);
  }

  shown() { return this.chart.series.filter((_, number) => !this.hidden.has(number)); }

  range() {
    const series = this.shown(), xs = series.flatMap((one) => one.steps), stacked = this.chart.stacked;
    let low = Infinity, high = -Infinity;
    if (stacked) {
      low = 0;
      const layered = series.filter((one) => !one.line);
      (layered[0]?.steps ?? []).forEach((_, at) => {
        high = Math.max(high, layered.reduce((sum, one) => sum + one.values[at], 0));
      });
    } else {
      for (const one of series) for (const values of [one.values, one.low ?? [], one.high ?? []]) {
        for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
      }
      if (low > 0 && low < 0.6 * high) low = 0;
    }
    if (this.chart.top !== null) { low = Math.min(low, 0); high = Math.max(high, this.chart.top); }
    if (!Number.isFinite(low) || !Number.isFinite(high)) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
    const [first, last] = xs.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
    return { low, high, first: Number.isFinite(first) ? first : 0, last: last > first ? last : first + 1 };
  }

  draw() {
    const width = this.width = this.box.clientWidth;
    if (!width) return;
    const { low, high, first, last } = this.range();
    const gap = this.chart.stacked ? (last - first) / Math.max(this.chart.series[0].steps.length - 1, 1) / 2 : 0;
    const x = (step) => LEFT + (step - first + gap) / (last - first + 2 * gap) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
    this.x = x;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute("height", HEIGHT);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${this.chart.title}, ${this.chart.unit}, by step`);
    this.phases.forEach(([from, to, name], number) => {
      const left = Math.max(x(from), LEFT), right = Math.min(x(to), width - RIGHT);
      if (right < LEFT || left > width - RIGHT) return;
      shape(svg, "rect", { class: "phase", x: left, y: TOP, width: Math.max(right - left, 1), height: HEIGHT - TOP - BOTTOM,
        fill: number % 2 ? "transparent" : "var(--shade)" });
      if (right - left > 40) shape(svg, "text", { x: left + 4, y: TOP - 3 }, name);
    });
    for (const value of ticks(low, high, 4)) {
      shape(svg, "line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), stroke: "var(--line)" });
      shape(svg, "text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, short(value));
    }
    for (const step of ticks(first, last, Math.max(2, Math.floor(width / 80)))) {
      if (Number.isInteger(+step.toFixed(6))) {
        const anchor = x(step) > width - 24 ? "end" : "middle";
        shape(svg, "text", { x: Math.min(x(step), width - 2), y: HEIGHT - 7, "text-anchor": anchor }, short(step));
      }
    }
    if (!this.phases.length) shape(svg, "text", { x: LEFT, y: TOP - 4 }, this.chart.unit);
    if (this.chart.stacked) this.layers(svg, x, y, gap); else this.curves(svg, x, y);
    this.cross = shape(svg, "line", { y1: TOP, y2: HEIGHT - BOTTOM, stroke: "var(--quiet)", opacity: 0 });
    this.box.replaceChildren(svg);
  }

  curves(svg, x, y) {
    for (const series of this.shown()) {
      const paint = colour(series.colour), values = smoothed(series.values, this.smoothing);
      if (series.low) {
        const up = series.steps.map((step, at) => `${x(step).toFixed(1)},${y(series.high[at]).toFixed(1)}`);
        const down = series.steps.map((step, at) => `${x(step).toFixed(1)},${y(series.low[at]).toFixed(1)}`).reverse();
        shape(svg, "polygon", { points: up.concat(down).join(" "), fill: paint, opacity: 0.13 });
      }
      this.line(svg, series, values, x, y, paint, series.strong ? 2.4 : 1.5);
      if (series.steps.length < 15) series.steps.forEach((step, at) => {
        shape(svg, "circle", { cx: x(step), cy: y(values[at]), r: 2.5, fill: paint });
      });
    }
  }

  line(svg, series, values, x, y, paint, width) {
    const points = series.steps.map((step, at) => `${x(step).toFixed(1)},${y(values[at]).toFixed(1)}`).join(" ");
    shape(svg, "polyline", { points, fill: "none", stroke: paint, "stroke-width": width,
      "stroke-dasharray": DASHES[series.dash], "stroke-linejoin": "round" });
  }

  layers(svg, x, y, gap) {
    const bottoms = [];
    for (const series of this.shown()) {
      if (series.line) { this.line(svg, series, series.values, x, y, "var(--ink)", 1.2); continue; }
      let path = "";
      series.steps.forEach((step, at) => {
        const bottom = bottoms[at] ?? 0, top = bottom + series.values[at];
        const left = x(step - gap * 0.94), right = x(step + gap * 0.94);
        path += `M${left.toFixed(1)} ${y(bottom).toFixed(1)}V${y(top).toFixed(1)}H${right.toFixed(1)}V${y(bottom).toFixed(1)}Z`;
        bottoms[at] = top;
      });
      shape(svg, "path", { d: path, fill: colour(series.colour), opacity: 0.85 });
    }
  }

  point(event) {
    const series = this.shown();
    if (!series.length || !this.x) return;
    const at = event.clientX - this.box.getBoundingClientRect().left;
    let nearest = null;
    for (const one of series) for (const step of one.steps) {
      if (nearest === null || Math.abs(this.x(step) - at) < Math.abs(this.x(nearest) - at)) nearest = step;
    }
    const lines = [`step ${short(nearest)}`];
    for (const one of series) {
      const index = one.steps.indexOf(nearest);
      if (index < 0) continue;
      const spread = one.low ? `  (${short(one.low[index])} to ${short(one.high[index])})` : "";
      lines.push(`${one.name}  ${short(one.values[index])}${spread}`);
    }
    this.tip.textContent = lines.join("\n");
    this.tip.hidden = false;
    const place = this.x(nearest);
    this.tip.style.left = place > this.width / 2 ? "auto" : `${place + 16}px`;
    this.tip.style.right = place > this.width / 2 ? `${this.width - place + 16}px` : "auto";
    this.tip.style.top = `${this.box.offsetTop + TOP}px`;
    for (const end of ["x1", "x2"]) this.cross.setAttribute(end, place);
    this.cross.setAttribute("opacity", 0.6);
  }
}

function heatTable(heat) {
  const section = make("section"), scroll = make("div", undefined, "scroll"), table = make("table");
  const strengths = (heat.drops ?? heat.values).flat().filter((value) => value !== null);
  const most = Math.max(...strengths.map(Math.abs), 1e-9), head = table.insertRow();
  head.append(make("th"), ...heat.columns.map((name) => make("th", name)));
  heat.rows.forEach((name, row) => {
    const line = table.insertRow();
    line.append(make("th", name));
    heat.values[row].forEach((value, column) => {
      const cell = line.insertCell(), strength = (heat.drops ?? heat.values)[row][column];
      cell.textContent = value === null ? "" : value.toFixed(3);
      if (strength !== null) cell.style.background = `rgba(var(--hot), ${(0.35 * Math.abs(strength) / most).toFixed(3)})`;
    });
  });
  scroll.append(table);
  section.append(make("h2", heat.title), scroll, make("p", heat.note, "quiet"));
  return section;
}

async function unpack(id) {
  const binary = atob(document.getElementById(id).textContent), bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

async function drawCharts() {
  const data = await unpack("charts"), place = document.getElementById("plots"), plots = [];
  let section = null, grid = null;
  for (const chart of data.charts) {
    if (chart.section !== section) {
      section = chart.section;
      grid = make("div", undefined, "plots");
      place.append(make("h2", section), grid);
    }
    const plot = new Plot(chart, data.phases);
    plots.push(plot);
    grid.append(plot.figure);
  }
  place.append(...data.heats.map(heatTable));
  for (const plot of plots) plot.draw();
  const smoothing = document.getElementById("smoothing");
  smoothing.addEventListener("input", () => {
    for (const plot of plots) { plot.smoothing = Number(smoothing.value); plot.draw(); }
  });
}
