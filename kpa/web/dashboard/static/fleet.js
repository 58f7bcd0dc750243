// The table of all revisions. Only the rows in sight are in the page, so thousands cost no more than a few.

import { element, text } from "./dom.js";
import { count, next, short } from "./format.js";
import { add, COLUMNS, fill, made, newLine } from "./rows.js";
import { Sparklines } from "./sparklines.js";

const BEYOND = 5; // rows out of sight that are there, at each end
const narrow = matchMedia("(max-width: 900px)");
const rowHeight = () => (narrow.matches ? 84 : 36); // as in style.css

export class FleetPage {
  constructor(fleet) {
    this.fleet = fleet;
    this.sort = { column: COLUMNS[0], down: false };
    this.found = [];
    this.lines = new Map(); // what is in the page, by key
    this.sparklines = new Sparklines();
    this.current = null; // key of the row that takes part in tabbing
    this.drawing = 0;
    this.#head();
    element("search").addEventListener("input", () => {
      element("space").scrollTop = 0;
      this.draw();
    });
    element("search").addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      event.preventDefault();
      this.#focus(0);
    });
    element("space").addEventListener("scroll", () => this.#place(), { passive: true });
    element("rows").addEventListener("keydown", (event) => this.#key(event));
    element("rows").addEventListener("focusin", (event) => this.#rove(event.target.closest(".row")?.dataset.key));
    for (const kind of ["resize", "theme"]) addEventListener(kind, () => this.draw());
    for (const kind of ["change", "connection"]) fleet.addEventListener(kind, () => this.draw());
    setInterval(() => this.#tick(), 1000);
  }

  /** Search, sort and draw at the next frame, however often this is called before it. */
  draw() {
    if (element("fleet").hidden) return;
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.#arrange();
      this.#place();
    });
  }

  /** Go to the row of a revision. */
  show(key) {
    this.#arrange();
    const place = this.found.findIndex((row) => row.key === key);
    if (place >= 0) this.#focus(place);
    else this.draw();
  }

  #head() {
    for (const column of COLUMNS) {
      const cell = made("div", "columnheader", column);
      if (column.value) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = column.title;
        button.addEventListener("click", () => this.#sortBy(column, column === this.sort.column ? !this.sort.down : column.number));
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
      this.#sortBy(column, column.number);
    });
    element("direction").addEventListener("click", () => this.#sortBy(this.sort.column, !this.sort.down));
    this.#sortBy(COLUMNS[0], false);
  }

  #sortBy(column, down = false) {
    this.sort = { column, down };
    for (const each of COLUMNS) {
      if (each.value) each.cell.setAttribute("aria-sort", each !== column ? "none" : down ? "descending" : "ascending");
    }
    element("sort-by").value = column.id;
    element("direction").textContent = down ? "↓" : "↑";
    element("direction").ariaLabel = down ? "Descending; change to ascending" : "Ascending; change to descending";
    this.draw();
  }

  /** Find and order the rows, and sum up all of them: one pass and a sort. */
  #arrange() {
    const words = element("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const totals = { ready: 0, requested: 0, flight: 0, rate: 0, panic: 0, zero: 0 };
    const { column, down } = this.sort;
    const found = [];
    for (const row of this.fleet.rows.values()) {
      add(totals, row);
      if (words.every((word) => row.text.includes(word))) found.push([column.value(row), row.rank, row]);
    }
    found.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1) || x - y);
    this.found = found.map(([, , row]) => row);
    const all = this.fleet.rows.size;
    showTotals(totals, all);
    text(element("count"), words.length ? `${count(this.found.length)} of ${count(all)}` : "");
    element("empty").hidden = this.found.length > 0;
    text(element("empty"), all ? "No revision matches." : this.fleet.connected ? "No revision is scaled yet." : "Waiting for kpa.");
    element("grid").setAttribute("aria-rowcount", this.found.length + 1);
  }

  /** Put the rows in sight into the page. */
  #place() {
    const space = element("space");
    const height = rowHeight();
    element("rows").style.height = `${this.found.length * height}px`;
    const first = Math.max(0, Math.floor(space.scrollTop / height) - BEYOND);
    const last = Math.min(this.found.length, Math.ceil((space.scrollTop + space.clientHeight) / height) + BEYOND);
    const shown = new Map();
    const now = this.fleet.now();
    const focused = document.activeElement?.closest("#rows .row")?.dataset.key;
    for (let place = first; place < last; place++) this.#put(place, height, now, shown);
    if (focused && !shown.has(focused)) {
      const place = this.found.findIndex((row) => row.key === focused); // stays where the keyboard is
      if (place >= 0) this.#put(place, height, now, shown);
    }
    for (const [key, line] of this.lines) if (!shown.has(key)) line.root.remove();
    this.lines = shown;
    this.#order(focused);
    this.#rove(this.lines.has(this.current) ? this.current : this.found[first]?.key);
    this.sparklines.draw(new Map([...shown].map(([key, line]) => [key, line.canvas])));
  }

  #put(place, height, now, shown) {
    const row = this.found[place];
    const line = this.lines.get(row.key) ?? newLine(row.key);
    line.root.style.transform = `translateY(${place * height}px)`;
    line.root.setAttribute("aria-rowindex", place + 2);
    line.place = place;
    fill(line, row, now);
    shown.set(row.key, line);
  }

  /** Have the rows in the page in the order in which they are seen; readers go by it. */
  #order(focused) {
    let next = element("rows").firstElementChild;
    for (const { root } of [...this.lines.values()].sort((a, b) => a.place - b.place)) {
      if (root === next) next = next.nextElementSibling;
      else element("rows").insertBefore(root, next);
    }
    const link = this.lines.get(focused)?.link;
    if (link && link !== document.activeElement) link.focus({ preventScroll: true }); // it was moved
  }

  #tick() {
    if (element("fleet").hidden || document.hidden) return;
    const now = this.fleet.now();
    for (const [key, line] of this.lines) {
      const row = this.fleet.rows.get(key);
      if (row?.next) text(line.cells.next, next(row.next, row.next_at, now));
    }
    this.sparklines.draw(this.sparklines.shown);
  }

  // The keyboard: one row takes part in tabbing, arrows move.

  #key(event) {
    const page = Math.floor(element("space").clientHeight / rowHeight()) - 1;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const here = this.lines.get(this.current)?.place ?? 0;
    if (event.key === "ArrowUp" && here === 0) element("search").focus();
    else this.#focus(Math.max(0, Math.min(this.found.length - 1, here + moves[event.key])));
  }

  #focus(place) {
    if (!this.found[place]) return;
    const space = element("space");
    const height = rowHeight();
    const top = place * height;
    element("rows").style.height = `${this.found.length * height}px`;
    if (top < space.scrollTop) space.scrollTop = top;
    if (top + height > space.scrollTop + space.clientHeight) space.scrollTop = top + height - space.clientHeight;
    this.#place();
    this.lines.get(this.found[place].key)?.link.focus({ preventScroll: true });
  }

  #rove(key) {
    this.current = key ?? null;
    for (const [each, line] of this.lines) line.link.tabIndex = each === key ? 0 : -1;
  }
}

function showTotals(totals, revisions) {
  text(element("total-revisions"), count(revisions));
  text(element("total-ready"), count(totals.ready));
  text(element("total-requested"), count(totals.requested));
  text(element("total-flight"), short(totals.flight));
  text(element("total-rate"), short(totals.rate));
  element("total-rate").parentElement.hidden = !totals.rate;
  text(element("total-panic"), count(totals.panic));
  element("total-panic").parentElement.classList.toggle("panic", totals.panic > 0);
  text(element("total-zero"), count(totals.zero));
}
