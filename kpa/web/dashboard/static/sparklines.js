// The load of the last hour in the table: asked for together, for the rows in sight only.

import { ask } from "./live.js";

const FRESH = 20; // seconds for which a line is good: the interval of samples
const WAIT = 120; // milliseconds; whoever scrolls past rows does not ask for them
const LONGEST = 4000; // characters of an address
const KEPT = 2000; // lines

export class Sparklines {
  constructor() {
    this.lines = new Map(); // by key: { at, values }
    this.shown = new Map();
    this.waiting = 0;
    this.colour = "";
    addEventListener("theme", () => (this.colour = ""));
  }

  /** Draw on canvases, by key, what is known; ask for the rest. */
  draw(canvases) {
    this.shown = canvases;
    for (const [key, canvas] of canvases) this.#draw(canvas, this.lines.get(key)?.values);
    if (!this.waiting && this.#stale().length) {
      this.waiting = setTimeout(() => this.#ask(), WAIT);
    }
  }

  #stale() {
    const old = Date.now() / 1000 - FRESH;
    return [...this.shown.keys()].filter((key) => !(this.lines.get(key)?.at > old));
  }

  async #ask() {
    for (const query of queries(this.#stale())) {
      const at = Date.now() / 1000;
      const response = await ask(`/api/sparklines?${query}`).catch(() => null);
      for (const name of new URLSearchParams(query).getAll("of")) {
        const values = response?.[name] ?? this.lines.get(name)?.values;
        this.lines.delete(name); // to be the youngest
        this.lines.set(name, { at, values });
        const canvas = this.shown.get(name);
        if (canvas) this.#draw(canvas, values);
      }
    }
    for (const key of this.lines.keys()) {
      if (this.lines.size <= KEPT) break;
      this.lines.delete(key);
    }
    this.waiting = 0;
  }

  #draw(canvas, values) {
    this.colour ||= getComputedStyle(document.documentElement).getPropertyValue("--blue").trim();
    if (canvas.values === values && canvas.colour === this.colour) return;
    Object.assign(canvas, { values, colour: this.colour });
    const [width, height, ratio] = [112, 26, devicePixelRatio || 1];
    canvas.width = width * ratio; // clears it
    canvas.height = height * ratio;
    if (!values) return;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.strokeStyle = pen.fillStyle = this.colour;
    pen.lineWidth = 1.25;
    trace(pen, values, width, height);
  }
}

/** One point a minute, the present one at the right; gaps where there is no data. */
function trace(pen, values, width, height) {
  const most = Math.max(...values.map((value) => value ?? 0), 1e-9);
  const step = (width - 3) / (values.length - 1);
  pen.beginPath();
  let open = false;
  values.forEach((value, place) => {
    if (value !== null) {
      const [x, y] = [1.5 + place * step, height - 2 - (value / most) * (height - 4)];
      if (open) pen.lineTo(x, y);
      else if (values[place + 1] === null || place + 1 === values.length) pen.fillRect(x - 1, y - 1, 2, 2);
      else pen.moveTo(x, y);
    }
    open = value !== null;
  });
  pen.stroke();
}

function queries(keys) {
  const all = [];
  for (const key of keys) {
    const one = `of=${encodeURIComponent(key)}`;
    if (all.length && all.at(-1).length + one.length < LONGEST) all[all.length - 1] += `&${one}`;
    else all.push(one);
  }
  return all;
}
