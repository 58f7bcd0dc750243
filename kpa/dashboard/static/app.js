// Which page is shown, the theme, and the state of the connection.

import { Fleet } from "./live.js";
import { FleetPage } from "./fleet.js";
import { RevisionPage } from "./revision.js";

const element = (id) => document.getElementById(id);
const fleet = new Fleet();
const fleetPage = new FleetPage(fleet);
const revisionPage = new RevisionPage(fleet);

function theme(name) {
  document.documentElement.dataset.theme = name;
  revisionPage.redraw();
  fleetPage.draw();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const chosen = () => localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light");
dark.addEventListener("change", () => theme(chosen()));
element("theme").addEventListener("click", () => {
  localStorage.setItem("theme", chosen() === "dark" ? "light" : "dark");
  theme(chosen());
});

function show() {
  const [, page, namespace, name] = location.hash.split("/").map(decodeURIComponent);
  const one = page === "revisions" && namespace && name;
  element("fleet").hidden = Boolean(one);
  element("revision").hidden = !one;
  document.title = one ? `${name} - kpa` : "kpa";
  if (one) {
    revisionPage.open(namespace, name);
    scrollTo(0, 0);
  } else {
    revisionPage.close();
    fleetPage.draw();
  }
}

addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
  const writing = event.target instanceof HTMLInputElement;
  if (event.key === "Escape" && !element("revision").hidden) location.hash = "#/";
  if (event.key === "/" && !writing && !element("fleet").hidden) {
    event.preventDefault();
    element("search").focus();
  }
});
fleet.addEventListener("connection", () => {
  element("connection").textContent = fleet.connected ? "live" : "no connection to kpa; trying again";
  element("connection").className = fleet.connected ? "" : "lost";
  element("profile").textContent = fleet.profile && `profile ${fleet.profile}`;
});

theme(chosen());
show();
fleet.connect();
