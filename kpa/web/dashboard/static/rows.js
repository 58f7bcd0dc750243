// The columns of the table, and its rows as elements.

import { text } from "./dom.js";
import { load, next } from "./format.js";

export const COLUMNS = [
  { id: "name", title: "Revision", value: (row) => row.rank },
  { id: "pods", title: "Ready / requested", value: (row) => row.ready, number: true },
  { id: "load", title: "Load, last hour", value: null },
  { id: "bar", title: "Load / target", value: (row) => share(row) ?? -1, number: true },
  { id: "stable", title: "Load", value: (row) => row.stable ?? -1, number: true },
  { id: "state", title: "State", value: (row) => row.state },
  { id: "rule", title: "Bound by", value: (row) => row.rule },
  { id: "next", title: "Next", value: (row) => row.next_at ?? Infinity },
];

/** Load per ready pod as a part of its target. */
const share = (row) => (row.stable === null || !row.ready ? null : row.stable / row.ready / row.target);

const addressOf = (key) => `#/revisions/${key.split("/").map(encodeURIComponent).join("/")}`;

/** An empty cell of a column. */
export function made(name, role, column) {
  const cell = document.createElement(name);
  cell.setAttribute("role", role);
  cell.className = `c-${column.id}${column.number ? " number" : ""}`;
  return cell;
}

/** A row without values. */
export function newLine(key) {
  const root = document.createElement("div");
  root.className = "row";
  root.setAttribute("role", "row");
  root.dataset.key = key;
  const cells = {};
  for (const column of COLUMNS) root.append((cells[column.id] = made("div", "gridcell", column)));
  const link = document.createElement("a"); // covers the row
  link.href = addressOf(key);
  link.textContent = cells.name.title = key;
  cells.name.append(link);
  const canvas = document.createElement("canvas");
  canvas.className = "spark";
  canvas.setAttribute("aria-hidden", "true");
  cells.load.append(canvas);
  return { root, cells, link, canvas, place: 0 };
}

/** Write values into a row. */
export function fill({ cells }, row, now) {
  text(cells.pods, `${row.ready} / ${row.requested}`);
  const rate = row.metric === "rps";
  text(cells.stable, load(row.stable) + (row.stable !== null && rate ? "/s" : ""));
  cells.stable.dataset.unit = row.stable !== null && !rate ? "in flight" : "";
  text(cells.state, row.state === "panic" ? "▲ panic" : row.state);
  cells.state.classList.toggle("panic", row.state === "panic");
  text(cells.rule, row.rule);
  if (cells.rule.title !== row.rule) cells.rule.title = row.rule;
  text(cells.next, next(row.next, row.next_at, now));
  const part = share(row);
  text(cells.bar, part === null ? "–" : `${Math.round(part * 100)} %`);
  cells.bar.style.setProperty("--part", `${Math.min(100, Math.round((part ?? 0) * 100))}%`);
}

/** Add a row to the totals. */
export function add(totals, row) {
  totals.ready += row.ready;
  totals.requested += row.requested;
  totals[row.metric === "rps" ? "rate" : "flight"] += row.stable ?? 0;
  totals.panic += row.mode === "panic" ? 1 : 0;
  totals.zero += row.requested === 0 ? 1 : 0;
}
