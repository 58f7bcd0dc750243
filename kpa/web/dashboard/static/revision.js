// One revision: charts of its last hour, why it has its pods, and its settings. All of it goes on live.

import { Charts } from "./charts.js";
import { element, text } from "./dom.js";
import { clock, dayAndClock, load, localTimes } from "./format.js";
import { ask } from "./live.js";

const EVERY = 2000; // milliseconds between two looks
const SAMPLED = 20; // seconds between two samples of the history
const HALF_A_DAY = 43200; // seconds
const COLUMNS = ["at", "stable", "panic", "recommended", "requested", "ready", "lower", "upper", "held", "panicking"];

export class RevisionPage {
  constructor(fleet) {
    this.fleet = fleet;
    this.key = null;
    this.charts = null;
    addEventListener("resize", () => this.charts?.resize());
    addEventListener("theme", () => this.#draw());
  }

  open(namespace, name) {
    this.close();
    this.key = `${namespace}/${name}`;
    this.path = `/api/revisions/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
    text(element("revision-title"), this.key);
    for (const id of ["summary", "next"]) text(element(id), "");
    for (const id of ["steps", "past", "settings", "load-chart", "pods-chart"]) element(id).replaceChildren();
    element("known").hidden = true;
    element("revision-title").focus({ preventScroll: true });
    this.samples = null;
    this.sampled = 0;
    this.timer = setInterval(() => document.hidden || this.#look(), EVERY);
    return this.#look();
  }

  close() {
    clearInterval(this.timer);
    this.key = null;
    this.status = null;
    this.charts?.destroy();
    this.charts = null;
  }

  async #look() {
    const key = this.key;
    if (this.looking === key) return; // a slow answer is waited for
    this.looking = key;
    try {
      const gone = this.fleet.connected && !this.fleet.rows.has(key);
      const status = gone ? null : await ask(this.path);
      const again = Date.now() / 1000 - this.sampled > SAMPLED;
      const history = status && again ? await ask(`${this.path}/history`) : null;
      if (key === this.key) this.#show(status, history);
    } catch {
      // the header says that there is no connection
    } finally {
      if (this.looking === key) this.looking = null;
    }
  }

  #show(status, history) {
    if (status === null) {
      text(element("summary"), "There is no such revision: it is gone, or not known yet.");
      text(element("next"), "");
      return; // the last that was known of it stays
    }
    if (history) {
      this.samples = history;
      this.sampled = Date.now() / 1000;
    }
    this.status = status;
    element("known").hidden = false;
    explain(status.explanation);
    this.#add(status);
    if (this.charts) this.charts.update(this.samples, status.target);
    else this.#draw();
  }

  /** Put what is so now behind the samples; the next history has it exactly. */
  #add(status) {
    this.samples ??= Object.fromEntries(COLUMNS.map((name) => [name, []]));
    const samples = this.samples;
    const before = (name) => samples[name].at(-1) ?? 0;
    if (before("at") >= status.explanation.time) return;
    const present = {
      at: status.explanation.time, stable: status.stable, panic: status.panic, recommended: Math.max(0, status.recommended),
      requested: status.requested, ready: status.ready, lower: before("lower"), upper: before("upper"), held: null, panicking: status.panicking,
    };
    for (const [name, value] of Object.entries(present)) samples[name].push(value);
    text(element("load-words"), `Now ${load(status.stable)} over the stable window, ${load(status.panic)} over the panic window.`);
    text(element("pods-words"), `Now ${status.ready} ready, ${present.requested} requested, ${status.recommended} recommended.`);
  }

  #draw() {
    if (!this.status) return;
    this.charts?.destroy();
    const unit = this.status.metric === "rps" ? "requests a second" : "requests in flight";
    const limits = { target: this.status.target, unit };
    this.charts = new Charts(element("load-chart"), element("pods-chart"), this.samples, limits);
  }
}

function explain(explanation) {
  const now = explanation.time;
  text(element("summary"), localTimes(explanation.summary, now));
  text(element("next"), `Next: ${localTimes(explanation.next, now)}.`);
  list(explanation.steps.map(({ rule, text, pods }) => [rule, localTimes(text, now), pods < 0 ? "" : `→ ${pods}`]));
  table(
    "past",
    ["at", "requested#", "ready#", "stable#", "panic#", "mode", "bound by"],
    explanation.past.map((past) => [
      now - past.at < HALF_A_DAY ? clock(past.at) : dayAndClock(past.at),
      past.requested,
      past.ready,
      load(past.stable),
      load(past.panic),
      past.mode,
      past.rule,
    ]),
  );
  const own = (setting) => setting.source !== "default";
  const settings = [...explanation.settings.filter(own), ...explanation.settings.filter((one) => !own(one))];
  table("settings", ["key", "value", "from"], settings.map(({ key, value, source }) => [key, value, source]));
  settings.forEach((setting, place) => element("settings").rows[place + 1].classList.toggle("own", own(setting)));
}

function list(steps) {
  const lines = steps.map(([rule, words, pods]) => {
    const line = document.createElement("li");
    line.append(made("span", rule, "rule"), made("span", words, "text"), made("span", pods, "pods"));
    return line;
  });
  replace(element("steps"), lines);
}

/** Fill a table; a column whose head ends in # has numbers. */
function table(id, heads, items) {
  const kinds = heads.map((head) => (head.endsWith("#") ? "number" : ""));
  const row = (name, values) => {
    const made_ = document.createElement("tr");
    made_.append(...values.map((value, place) => made(name, value, kinds[place])));
    return made_;
  };
  const head = row("th", heads.map((title) => title.replace("#", "")));
  for (const cell of head.cells) cell.scope = "col";
  replace(element(id), [head, ...items.map((values) => row("td", values))]);
}

/** Replace children unless they are the same: a selection of text outlives a look. */
function replace(target, children) {
  const same = children.length === target.children.length && children.every((child, place) => child.innerHTML === target.children[place].innerHTML);
  if (!same) target.replaceChildren(...children);
}

function made(name, words, kind) {
  const element = document.createElement(name);
  element.textContent = words;
  if (kind) element.className = kind;
  return element;
}
