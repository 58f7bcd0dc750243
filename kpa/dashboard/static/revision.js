// One revision: charts of its last hour, why it has its pods, and its settings. All of it goes on live.

import { duration, load } from "./format.js";
import { ask } from "./live.js";

const EVERY = 2000; // milliseconds between two looks
const WIDEST = 3600; // seconds on the charts
const element = (id) => document.getElementById(id);

export class RevisionPage {
  constructor(fleet) {
    this.fleet = fleet;
    this.path = null;
    this.charts = [];
    addEventListener("resize", () => this.#resize());
  }

  async open(namespace, name) {
    this.close();
    this.path = `/api/revisions/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
    element("revision-title").textContent = `${namespace}/${name}`;
    for (const id of ["summary", "next"]) element(id).textContent = "";
    for (const id of ["steps", "past", "settings", "load-chart", "pods-chart"]) element(id).replaceChildren();
    element("main").focus();
    const path = this.path;
    this.samples = await ask(`${path}/history`).catch(() => null);
    if (path !== this.path) return;
    await this.#look();
    this.timer = setInterval(() => this.#look(), EVERY);
  }

  close() {
    clearInterval(this.timer);
    this.path = null;
    this.#clear();
  }

  /** Draw anew, in the colours of the present theme. */
  redraw() {
    if (!this.path || !this.samples) return;
    this.#clear();
    this.#draw();
  }

  #clear() {
    for (const chart of this.charts) chart.destroy();
    this.charts = [];
  }

  async #look() {
    const path = this.path;
    let told;
    try {
      told = await ask(path);
    } catch {
      return; // the header says that there is no connection
    }
    if (path !== this.path) return;
    if (told === null) {
      element("summary").textContent = "This revision is gone.";
      element("next").textContent = "";
      clearInterval(this.timer);
      return;
    }
    this.#explain(told);
    this.#add(told);
  }

  #explain({ explanation }) {
    element("summary").textContent = explanation.summary;
    element("next").textContent = `Next: ${explanation.next}.`;
    const steps = explanation.steps.map(({ rule, text, pods }) => {
      const line = document.createElement("li");
      line.append(cell("span", rule, "rule"), cell("span", text, "text"), cell("span", pods < 0 ? "" : `→ ${pods}`, "pods"));
      return line;
    });
    element("steps").replaceChildren(...steps);
    table("past", ["ago", "wanted", "ready", "stable", "panic", "mode", "bound by"], explanation.past, (past) => [
      duration(explanation.time - past.at),
      past.wanted < 0 ? "-" : past.wanted,
      past.ready,
      load(past.stable),
      load(past.panic),
      past.mode,
      past.rule,
    ]);
    table("settings", ["key", "value", "from"], explanation.settings, ({ key, value, source }) => [key, value, source]);
    for (const row of element("settings").rows) {
      if (!["default", "from"].includes(row.cells[2].textContent)) row.cells[1].className = "own";
    }
  }

  /** Put what is so now behind the samples. */
  #add(told) {
    const now = told.explanation.time;
    this.samples ??= { at: [], stable: [], panic: [], desired: [], wanted: [], ready: [], lower: [], upper: [], held: [], panicking: [] };
    const samples = this.samples;
    const last = samples.at.length - 1;
    const before = (name) => (last >= 0 ? samples[name][last] : 0);
    const wanted = told.wanted >= 0 ? told.wanted : told.replicas;
    const present = {
      at: now, stable: told.stable, panic: told.panic, desired: Math.max(0, told.desired), wanted, ready: told.ready,
      lower: before("lower"), upper: before("upper"), held: before("held"), panicking: told.panicking,
    };
    for (const [name, value] of Object.entries(present)) samples[name].push(value);
    while (samples.at[0] < now - WIDEST) for (const column of Object.values(samples)) column.shift();
    this.target = told.target;
    this.unit = told.metric === "rps" ? "requests a second" : "requests in flight";
    element("load-title").textContent = `Load: ${this.unit}`;
    element("load-words").textContent = `Now ${load(told.stable)} over the stable window, ${load(told.panic)} over the panic window.`;
    element("pods-words").textContent = `Now ${told.ready} ready, ${wanted} wanted, ${told.desired} desired.`;
    if (this.charts.length) this.#data().forEach((data, place) => this.charts[place].setData(data));
    else this.#draw();
  }

  #data() {
    const s = this.samples;
    const capacity = s.ready.map((ready) => ready * this.target);
    const most = Math.max(...s.desired, ...s.wanted, ...s.ready, 1) * 2;
    const upper = s.upper.map((pods) => Math.min(pods, most)); // far limits would flatten the rest
    return [
      [s.at, s.stable, s.panic, capacity],
      [s.at, s.upper.map((pods, place) => (pods ? upper[place] : null)), s.upper.map((pods, place) => (pods ? s.lower[place] : null)), s.held, s.desired, s.wanted, s.ready],
    ];
  }

  #draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const bands = { hooks: { drawClear: [(chart) => this.#panic(chart, colour("red-soft"))] } };
    const options = (id, series, more = {}) => ({
      width: element(id).clientWidth,
      height: 240,
      series: [{ value: (chart, at) => (at === null ? "" : new Date(at * 1000).toLocaleTimeString()) }, ...series],
      axes: [axis(colour), axis(colour, 46)],
      scales: { y: { range: (chart, least, most) => [0, Math.max(1, most * 1.08)] } },
      cursor: { sync: { key: "revision" } },
      plugins: [bands],
      ...more,
    });
    const line = (label, name, more = {}) => ({ label, stroke: colour(name), width: 1.5, points: { show: false }, ...more });
    const stepped = uPlot.paths.stepped({ align: 1 });
    const whole = { value: (chart, value) => (value === null ? "-" : value), paths: stepped };
    const shown = { value: (chart, value) => load(value) };
    const [loads, pods] = this.#data();
    element("load-chart").replaceChildren();
    element("pods-chart").replaceChildren();
    this.charts = [
      new uPlot(
        options("load-chart", [
          line("stable window", "blue", { ...shown, width: 2 }),
          line("panic window", "orange", shown),
          line("target of the ready pods", "quiet", { ...shown, dash: [5, 4], paths: stepped }),
        ]),
        loads,
        element("load-chart"),
      ),
      new uPlot(
        options(
          "pods-chart",
          [
            line("most by rate", "line", whole),
            line("least by rate", "line", whole),
            line("before delay", "violet", { ...whole, dash: [2, 3] }),
            line("desired", "orange", whole),
            line("wanted", "blue", { ...whole, width: 2 }),
            line("ready", "green", { ...whole, fill: `${colour("green")}22` }),
          ],
          { bands: [{ series: [1, 2], fill: colour("blue-soft") }] },
        ),
        pods,
        element("pods-chart"),
      ),
    ];
  }

  /** Shade the times in panic. */
  #panic(chart, colour) {
    const { at, panicking } = this.samples;
    const pen = chart.ctx;
    pen.save();
    pen.fillStyle = colour;
    for (let place = 0; place < at.length; place++) {
      if (!panicking[place]) continue;
      const from = chart.valToPos(at[place], "x", true);
      const to = place + 1 < at.length ? chart.valToPos(at[place + 1], "x", true) : from + 2;
      pen.fillRect(from, chart.bbox.top, Math.max(1, to - from), chart.bbox.height);
    }
    pen.restore();
  }

  #resize() {
    this.charts.forEach((chart, place) => {
      const width = element(["load-chart", "pods-chart"][place]).clientWidth;
      if (width) chart.setSize({ width, height: 240 });
    });
  }
}

function axis(colour, size) {
  const thin = { stroke: colour("line"), width: 1 };
  return { stroke: colour("quiet"), grid: thin, ticks: thin, font: "12px system-ui", ...(size ? { size } : {}) };
}

function cell(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function table(id, heads, items, values) {
  const head = document.createElement("tr");
  head.append(...heads.map((text) => cell("th", text)));
  const rows = items.map((item) => {
    const row = document.createElement("tr");
    row.append(...values(item).map((value) => cell("td", value, typeof value === "number" ? "number" : "")));
    return row;
  });
  element(id).replaceChildren(head, ...rows);
}
