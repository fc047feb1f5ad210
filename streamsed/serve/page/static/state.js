// What the page knows: sources, events, and the stream that they come by.
//
// Events come twice: live, as records, and from the store. Both are keyed by source, run and
// number, so receiving one twice does no harm; the latest data of the stream wins.

import { getJson } from "./dom.js";
import { learnLabels } from "./format.js";

const KEPT = 400;
const SILENCE = 8; // s without anything, after which the stream is taken for dead
const ORDER = ["opened", "updated", "ended", "closed", "withdrawn"];

export const state = {
  sources: [], // statuses, in the order of the settings
  events: new Map(), // by key, see `keyOf`
  connected: false,
  hertz: null, // of the pictures, from the lowest to the highest
  hasToken: false,
};

// Resolves when the labels are known, whose order gives them their colours; or soon.
let greeted = null;
export const ready = Promise.race([
  new Promise((resolve) => { greeted = resolve; }),
  new Promise((resolve) => { setTimeout(resolve, 2000); }),
]);

const listeners = new Map();
export function on(kind, callback) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(callback);
  return () => listeners.get(kind).delete(callback);
}
function notify(kind, value) {
  for (const callback of [...(listeners.get(kind) ?? [])]) callback(value);
}

export const keyOf = (source, run, number) => `${source} ${run} ${number}`;

// An event of the stream.
function fromRecord(record) {
  return {
    key: keyOf(record.source, record.run, record.id),
    source: record.source, run: record.run, number: record.id, label: record.label,
    state: record.state, score: record.score,
    onset: new Date(record.time), offset: record.end ? new Date(record.end) : null,
  };
}

// An event of the store.
export function fromStore(event) {
  return {
    key: keyOf(event.source, event.run, event.number),
    id: event.id, source: event.source, run: event.run, number: event.number,
    label: event.label, state: event.state === "unfinished" ? "closed" : event.state,
    score: event.score, clip: event.clip, picture: event.picture,
    onset: new Date(event.onset), offset: event.offset ? new Date(event.offset) : null,
  };
}

// Of a flood of events each is taken, and the page is drawn now and then.
let due = 0;
function changed() {
  due ||= setTimeout(() => {
    due = 0;
    notify("events");
  }, 40);
}

function take(event, isNew) {
  const before = state.events.get(event.key);
  const isNewer = !before || ORDER.indexOf(event.state) >= ORDER.indexOf(before.state) || isNew;
  if (!isNewer) return;
  state.events.set(event.key, { ...before, ...event });
  if (state.events.size > KEPT) {
    const oldest = [...state.events.values()].sort((a, b) => a.onset - b.onset);
    for (const old of oldest.slice(0, KEPT / 4)) state.events.delete(old.key);
  }
}

export async function loadNewest() {
  for (const event of await getJson("api/events?newest=60")) take(fromStore(event), false);
  changed();
}

// The newest first.
export function newest(most = 60) {
  return [...state.events.values()]
    .filter((event) => event.state !== "withdrawn")
    .sort((a, b) => b.onset - a.onset)
    .slice(0, most);
}

export const isOngoing = (event) =>
  event.offset === null && (event.state === "opened" || event.state === "updated");

let stream = null;
let watched = new Set();
let lastId = "";
let lastHeard = 0;
let reopening = 0;

// Say which sources' pictures are wanted; the stream is reopened if that changes.
export function watch(names) {
  const wanted = new Set(names);
  if (wanted.size === watched.size && [...wanted].every((name) => watched.has(name))) return;
  watched = wanted;
  clearTimeout(reopening);
  reopening = setTimeout(open, 250);
}

export function open() {
  clearTimeout(reopening);
  stream?.close();
  const query = new URLSearchParams();
  for (const name of watched) query.append("picture", name);
  if (lastId) query.set("after", lastId);
  stream = new EventSource(`events?${query}`);
  lastHeard = performance.now();
  stream.addEventListener("hello", (message) => {
    received(message);
    const about = JSON.parse(message.data);
    learnLabels(about.labels);
    state.hasToken = about.token;
    state.hertz = about.hertz;
    greeted();
  });
  stream.addEventListener("message", (message) => {
    received(message);
    const record = JSON.parse(message.data);
    if (record.state === "gap" || record.state === "notice") {
      notify("notice", record);
      return;
    }
    const event = fromRecord(record);
    take(event, true);
    changed();
    if (event.state === "opened") notify("opened", event);
  });
  stream.addEventListener("sources", (message) => {
    received(message);
    state.sources = JSON.parse(message.data);
    notify("sources");
  });
  stream.addEventListener("picture", (message) => {
    received(message);
    const step = JSON.parse(message.data);
    if (step.labels) learnLabels(step.labels);
    notify("picture", step);
  });
  stream.addEventListener("error", () => connected(false));
}

function received(message) {
  if (message.lastEventId) lastId = message.lastEventId;
  lastHeard = performance.now();
  connected(true);
}

function connected(is) {
  if (state.connected === is) return;
  state.connected = is;
  notify("connected", is);
}

// A stream that is half-open, as after a telephone slept, says nothing of it. A refusal
// (the token changed, too many viewers) closes it for good, so it is looked after here.
setInterval(async () => {
  if (!stream) return;
  const silent = (performance.now() - lastHeard) / 1000;
  if (silent < SILENCE) return;
  connected(false);
  lastHeard = performance.now();
  if (stream.readyState === EventSource.CLOSED) {
    await getJson("api/sources").catch(() => {}); // leads to the login if that is why
  }
  open();
}, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && (performance.now() - lastHeard) / 1000 > 3) open();
});
