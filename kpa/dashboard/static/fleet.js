// The table of all revisions. Only the rows in sight are in the page, so thousands cost no more than a few.

import { load, next, trim } from "./format.js";
import { ask } from "./live.js";

const COLUMNS = [
  { id: "name", title: "Revision", value: (row) => row.key },
  { id: "pods", title: "Ready / wanted", value: (row) => row.ready, number: true },
  { id: "load", title: "Load, last hour", value: null },
  { id: "bar", title: "Load of target", value: (row) => share(row) ?? -1 },
  { id: "stable", title: "In flight", value: (row) => row.stable ?? -1, number: true },
  { id: "mode", title: "Mode", value: (row) => row.mode },
  { id: "rule", title: "Bound by", value: (row) => row.rule },
  { id: "next", title: "Next", value: (row) => row.next_at ?? Infinity },
];
const FRESH = 20; // seconds for which a sparkline is good: the interval of samples
const element = (id) => document.getElementById(id);

/** Load per ready pod as a part of its target. */
function share(row) {
  return row.stable === null || !row.ready ? null : row.stable / row.ready / row.target;
}

const wanted = (row) => (row.wanted >= 0 ? row.wanted : row.replicas);

export class FleetPage {
  constructor(fleet) {
    this.fleet = fleet;
    this.sort = { column: COLUMNS[0], down: false };
    this.found = [];
    this.elements = new Map(); // by key
    this.lines = new Map(); // sparklines: { at, values }
    this.focused = 0;
    this.#head();
    element("search").addEventListener("input", () => {
      element("space").scrollTop = 0;
      this.draw();
    });
    element("search").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "Enter") this.#focus(0);
    });
    element("space").addEventListener("scroll", () => this.#draw(), { passive: true });
    element("rows").addEventListener("keydown", (event) => this.#key(event));
    addEventListener("resize", () => this.draw());
    fleet.addEventListener("change", () => this.draw());
    setInterval(() => this.#tick(), 1000);
  }

  /** Search and sort anew, and draw what is in sight. */
  draw() {
    if (element("fleet").hidden) return;
    const words = element("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (row) => {
      const text = `${row.key} ${row.service} ${row.mode} ${row.activity} ${row.rule}`.toLowerCase();
      return words.every((word) => text.includes(word));
    };
    const { column, down } = this.sort;
    this.found = [...this.fleet.rows.values()].filter(matches);
    const by = new Map(this.found.map((row) => [row, column.value(row)]));
    const order = (a, b) => compare(by.get(a), by.get(b)) * (down ? -1 : 1) || compare(a.key, b.key);
    this.found.sort(order);
    this.#totals();
    const all = this.fleet.rows.size;
    element("count").textContent = words.length ? `${this.found.length} of ${all}` : "";
    element("empty").hidden = this.found.length > 0;
    element("empty").textContent = all ? "No revision matches." : "No revision is scaled yet.";
    element("grid").setAttribute("aria-rowcount", this.found.length + 1);
    this.#draw();
  }

  #head() {
    for (const column of COLUMNS) {
      const cell = document.createElement("div");
      cell.setAttribute("role", "columnheader");
      cell.className = `c-${column.id}${column.number ? " number" : ""}`;
      if (column.value) {
        const button = document.createElement("button");
        button.textContent = column.title;
        button.addEventListener("click", () => this.#sortBy(column, column === this.sort.column && !this.sort.down));
        cell.append(button);
        element("sort-by").append(new Option(column.title, column.id));
      } else {
        cell.textContent = column.title;
      }
      column.cell = cell;
      element("head").append(cell);
    }
    element("sort-by").addEventListener("change", (event) => {
      const column = COLUMNS.find(({ id }) => id === event.target.value);
      this.#sortBy(column, column.id === "pods" || column.id === "bar" || column.id === "stable");
    });
    this.#sortBy(COLUMNS[0], false);
  }

  #sortBy(column, down) {
    this.sort = { column, down };
    for (const each of COLUMNS) {
      if (!each.value) continue;
      each.cell.setAttribute("aria-sort", each !== column ? "none" : down ? "descending" : "ascending");
    }
    this.draw();
  }

  #totals() {
    const rows = [...this.fleet.rows.values()];
    const sum = (value) => rows.reduce((total, row) => total + value(row), 0);
    const totals = [
      ["revisions", rows.length],
      ["pods ready", sum((row) => row.ready)],
      ["pods wanted", sum(wanted)],
      ["in flight", trim(sum((row) => (row.metric === "concurrency" ? (row.stable ?? 0) : 0)))],
      ["in panic", rows.filter((row) => row.mode === "panic").length, "panic"],
      ["at zero", rows.filter((row) => wanted(row) === 0).length],
    ];
    const cells = totals.map(([name, value, kind]) => {
      const cell = document.createElement("div");
      if (kind && value) cell.className = kind;
      const number = document.createElement("b");
      number.textContent = value;
      cell.append(number, name);
      return cell;
    });
    element("totals").replaceChildren(...cells);
  }

  get #height() {
    return matchMedia("(max-width: 900px)").matches ? 76 : 36;
  }

  #draw() {
    const space = element("space");
    const height = this.#height;
    const first = Math.max(0, Math.floor(space.scrollTop / height) - 5);
    const last = Math.min(this.found.length, Math.ceil((space.scrollTop + space.clientHeight) / height) + 5);
    element("rows").style.height = `${this.found.length * height}px`;
    const shown = new Map();
    for (let place = first; place < last; place++) {
      const row = this.found[place];
      const line = this.elements.get(row.key) ?? this.#line(row.key);
      line.root.style.transform = `translateY(${place * height}px)`;
      line.root.setAttribute("aria-rowindex", place + 2);
      line.place = place;
      this.#fill(line, row);
      shown.set(row.key, line);
    }
    for (const [key, line] of this.elements) if (!shown.has(key)) line.root.remove();
    this.elements = shown;
    this.#rove();
    this.#sparklines();
  }

  #line(key) {
    const root = document.createElement("a");
    root.className = "row";
    root.setAttribute("role", "row");
    root.href = `#/revisions/${key.split("/").map(encodeURIComponent).join("/")}`;
    root.tabIndex = -1;
    const cells = {};
    for (const column of COLUMNS) {
      const cell = document.createElement("div");
      cell.setAttribute("role", "gridcell");
      cell.className = `c-${column.id}${column.number ? " number" : ""}`;
      cells[column.id] = cell;
      root.append(cell);
    }
    const canvas = document.createElement("canvas");
    canvas.className = "spark";
    canvas.setAttribute("aria-hidden", "true");
    cells.load.append(canvas);
    element("rows").append(root);
    const line = { root, cells, canvas, place: 0, drawn: null };
    this.elements.set(key, line);
    return line;
  }

  #fill({ cells, root }, row) {
    const set = (id, text) => {
      if (cells[id].textContent !== text) cells[id].textContent = text;
    };
    set("name", row.key);
    cells.name.title = row.key;
    set("pods", `${row.ready} / ${wanted(row)}`);
    set("stable", row.stable === null ? "no data" : `${load(row.stable)}${row.metric === "rps" ? "/s" : ""}`);
    set("mode", row.mode);
    cells.mode.className = `c-mode${row.mode === "panic" ? " mode-panic" : ""}`;
    set("rule", row.rule);
    set("next", next(row.next, row.next_at, this.fleet.now()));
    const part = share(row);
    const text = part === null ? "-" : `${Math.round(part * 100)} %`;
    set("bar", text);
    const filled = Math.min(100, Math.round((part ?? 0) * 100));
    cells.bar.style.background =
      part === null ? "" : `linear-gradient(90deg, var(--blue-soft) ${filled}%, transparent ${filled}%)`;
    root.setAttribute("aria-label", `${row.key}: ${row.ready} of ${wanted(row)} pods ready, ${row.mode}, ${row.rule}`);
  }

  #tick() {
    if (element("fleet").hidden) return;
    for (const [key, line] of this.elements) {
      const row = this.fleet.rows.get(key);
      if (row?.next) line.cells.next.textContent = next(row.next, row.next_at, this.fleet.now());
    }
    this.#sparklines();
  }

  // Sparklines of the rows in sight, asked for together.

  async #sparklines() {
    const now = Date.now() / 1000;
    const stale = [...this.elements.keys()].filter((key) => !(this.lines.get(key)?.at > now - FRESH));
    for (const [key, line] of this.elements) this.#spark(line, this.lines.get(key)?.values);
    if (!stale.length) return;
    for (const key of stale) this.lines.set(key, { at: now, values: this.lines.get(key)?.values });
    const some = stale.slice(0, 200).map((key) => `of=${encodeURIComponent(key)}`);
    const answer = await ask(`/api/sparklines?${some.join("&")}`).catch(() => ({}));
    for (const [key, values] of Object.entries(answer ?? {})) {
      this.lines.set(key, { at: now, values });
      const line = this.elements.get(key);
      if (line) this.#spark(line, values);
    }
    if (this.lines.size > 2000) this.lines.delete(this.lines.keys().next().value);
  }

  #spark(line, values) {
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--blue").trim();
    const mark = `${colour} ${values?.length} ${values?.at(-1)} ${line.canvas.clientWidth}`;
    if (!values || line.drawn === mark || !line.canvas.clientWidth) return;
    line.drawn = mark;
    const [width, height] = [line.canvas.clientWidth, line.canvas.clientHeight];
    const ratio = devicePixelRatio || 1;
    line.canvas.width = width * ratio;
    line.canvas.height = height * ratio;
    const pen = line.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.strokeStyle = colour;
    pen.lineWidth = 1.25;
    const most = Math.max(...values.map((value) => value ?? 0), 1e-9);
    pen.beginPath();
    values.forEach((value, place) => {
      const x = (place / Math.max(1, values.length - 1)) * (width - 2) + 1;
      const y = height - 2 - ((value ?? 0) / most) * (height - 4);
      place ? pen.lineTo(x, y) : pen.moveTo(x, y);
    });
    pen.stroke();
  }

  // The keyboard: one row takes part in tabbing, arrows move.

  #key(event) {
    const page = Math.floor(element("space").clientHeight / this.#height) - 1;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.#focus(Math.max(0, Math.min(this.found.length - 1, this.focused + moves[event.key])));
  }

  #focus(place) {
    if (!this.found[place]) return;
    this.focused = place;
    const [space, height] = [element("space"), this.#height];
    const top = place * height;
    if (top < space.scrollTop) space.scrollTop = top;
    if (top + height > space.scrollTop + space.clientHeight) space.scrollTop = top + height - space.clientHeight;
    this.#draw();
    this.elements.get(this.found[place].key)?.root.focus();
  }

  #rove() {
    const places = [...this.elements.values()];
    const here = places.find(({ place }) => place === this.focused) ?? places[0];
    for (const line of places) line.root.tabIndex = line === here ? 0 : -1;
    if (here) this.focused = here.place;
  }
}

function compare(a, b) {
  if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
  return a < b ? -1 : a > b ? 1 : 0;
}
