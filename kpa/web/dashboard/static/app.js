// Which page is shown, and the state of the connection.

import { element, text } from "./dom.js";
import { FleetPage } from "./fleet.js";
import { clock } from "./format.js";
import { Fleet } from "./live.js";
import { RevisionPage } from "./revision.js";

const fleet = new Fleet();
const fleetPage = new FleetPage(fleet);
const revisionPage = new RevisionPage(fleet);

function show() {
  const [, page, namespace, name] = location.hash.split("/").map(decodeURIComponent);
  const one = page === "revisions" && namespace && name;
  const before = revisionPage.key;
  element("fleet").hidden = Boolean(one);
  element("revision").hidden = !one;
  document.body.classList.toggle("filled", !one);
  document.title = one ? `${name} - kpa` : "kpa";
  revisionPage.close();
  if (one) {
    scrollTo(0, 0);
    revisionPage.open(namespace, name);
  } else if (before) {
    fleetPage.show(before);
  } else {
    fleetPage.draw();
  }
}

addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
  const writing = event.target.matches?.("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && !element("revision").hidden) location.hash = "#/";
  if (event.key === "/" && !writing && !element("fleet").hidden) {
    event.preventDefault();
    element("search").focus();
  }
});
fleet.addEventListener("connection", () => {
  const lost = `no connection to kpa since ${clock(Date.now() / 1000)}; trying again`;
  text(element("connection"), fleet.connected ? "live" : lost);
  element("connection").classList.toggle("lost", !fleet.connected);
  text(element("profile"), fleet.profile && `profile ${fleet.profile}`);
});

show();
fleet.connect();
