// The page: which view is shown, the state of the connection, and what is read aloud.

import { setText } from "./dom.js";
import { eventView, findView } from "./event.js";
import { readable, theme } from "./format.js";
import { historyView } from "./history.js";
import { liveView } from "./live.js";
import { settingsView } from "./settings.js";
import { loadNewest, on, open, ready, state } from "./state.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const announcer = document.getElementById("announcer");
let leave = null;
let isFirst = true;

function show() {
  const [view = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  leave?.();
  leave = null;
  if (view === "history") leave = historyView(main);
  else if (view === "settings") leave = settingsView(main);
  else if (view === "event") leave = eventView(main, rest[0]);
  else if (view === "find") leave = findView(main, ...rest);
  else leave = liveView(main);
  const current = { event: "history", find: "history", "": "live" }[view] ?? view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view && view !== "live" ? `${current[0].toUpperCase()}${current.slice(1)} - streamsed` : "streamsed";
  if (!isFirst) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  isFirst = false;
}

function showConnection() {
  connection.dataset.state = state.connected ? "live" : "lost";
  setText(connection, state.connected ? "connected" : "connecting");
}

// Screen readers announce new events, not every change, and not too many at once.
let announcedAt = -Infinity;
on("opened", (event) => {
  const now = performance.now();
  if (now - announcedAt < 1500) return;
  announcedAt = now;
  const line = document.createElement("span");
  line.textContent = `${readable(event.label)} in ${event.source}. `;
  announcer.append(line);
  while (announcer.childElementCount > 5) announcer.firstElementChild.remove();
});

on("connected", (is) => {
  showConnection();
  if (is) loadNewest().catch(() => {});
});
addEventListener("hashchange", show);
theme();
showConnection();
open();
await ready;
show();
